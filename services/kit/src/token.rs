//! Who is calling: JSON Web Tokens, HS256.
//!
//! The signature is made by the `hmac` and `sha2` crates behind `jsonwebtoken`'s
//! provider interface; its own provider would bring RSA and elliptic curves along.

use std::{fmt::Display, str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::{header, request::Parts},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result as JwtResult},
    signature::{Error as SignatureError, Signer, Verifier},
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    config::{Config, Secret},
    problem::Problem,
};

/// Issues and checks tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Keys>);

struct Keys {
    sign: EncodingKey,
    verify: DecodingKey,
    validation: Validation,
    lifetime: Duration,
    trusts_header: bool,
}

/// The signed-in user that sent a request.
///
/// As an extractor it demands a valid token; `Option<Caller>` lets anonymous requests
/// through, but still refuses a token that is wrong.
/// Users are told apart by whole numbers, or by ids of another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<I = i64> {
    /// Id of the user.
    pub id: I,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    email: String,
    iat: u64,
    exp: u64,
}

impl Tokens {
    /// Tokens signed with `secret`, valid for `lifetime`.
    pub fn new(secret: &Secret, lifetime: Duration) -> Self {
        // The provider is the same for the whole process: a second attempt changes nothing.
        let _already_there = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = 0;
        Self(Arc::new(Keys {
            sign: EncodingKey::from_secret(secret.expose().as_bytes()),
            verify: DecodingKey::from_secret(secret.expose().as_bytes()),
            validation,
            lifetime,
            trusts_header: false,
        }))
    }

    /// Tokens as [`Config`] says.
    pub fn from_config(config: &Config) -> Self {
        let mut tokens = Self::new(&config.jwt_secret, config.token_lifetime);
        if let Some(keys) = Arc::get_mut(&mut tokens.0) {
            keys.trusts_header = config.trust_user_header;
        }
        tokens
    }

    /// Who sent a request: by its token, or by the header `X-User-Id` where that is trusted.
    fn caller<I: FromStr>(&self, parts: &Parts) -> Result<Option<Caller<I>>, Problem> {
        if let Some(token) = bearer(parts)? {
            return self.verify(token).map(Some);
        }
        match parts.headers.get("x-user-id") {
            Some(id) if self.0.trusts_header => {
                let id = id.to_str().ok().and_then(|id| id.trim().parse().ok());
                let wrong = || Problem::unauthorized("X-User-Id is not the id of a user");
                id.map(|id| Some(Caller { id })).ok_or_else(wrong)
            }
            _ => Ok(None),
        }
    }

    /// A token for a user.
    ///
    /// # Errors
    /// Never for keys made by [`Tokens::new`]; the library's signature says it may.
    pub fn issue(&self, user_id: impl Display, email: &str) -> Result<String, Problem> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            sub: user_id.to_string(),
            email: email.to_owned(),
            iat: now,
            exp: now + self.0.lifetime.as_secs(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.sign).map_err(
            |error| {
                tracing::error!(%error, "cannot sign a token");
                Problem::internal()
            },
        )
    }

    /// How long a token is valid.
    pub fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// The user that a token names.
    ///
    /// # Errors
    /// 401 when the token is expired, forged or not a token.
    pub fn verify<I: FromStr>(&self, token: &str) -> Result<Caller<I>, Problem> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0.verify, &self.0.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => {
                    Problem::unauthorized("the token has expired, sign in again")
                }
                _ => Problem::unauthorized("the token is not valid"),
            })?
            .claims;
        let id = claims.sub.parse();
        Ok(Caller {
            id: id.map_err(|_| Problem::unauthorized("the token is not valid"))?,
        })
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("lifetime", &self.0.lifetime)
            .finish_non_exhaustive()
    }
}

impl<S, I> FromRequestParts<S> for Caller<I>
where
    S: Send + Sync,
    I: FromStr,
    Tokens: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Tokens::from_ref(state)
            .caller(parts)?
            .ok_or_else(|| Problem::unauthorized("sign in and send the token as a bearer token"))
    }
}

impl<S, I> OptionalFromRequestParts<S> for Caller<I>
where
    S: Send + Sync,
    I: FromStr,
    Tokens: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        Tokens::from_ref(state).caller(parts)
    }
}

fn bearer(parts: &Parts) -> Result<Option<&str>, Problem> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let wrong = || Problem::unauthorized("the Authorization header must be `Bearer <token>`");
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(wrong());
    }
    Ok(Some(token.trim()))
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(
            *algorithm,
            key.family(),
            key.as_bytes(),
        )?))
    },
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(
            *algorithm,
            key.family(),
            key.try_get_as_bytes()?,
        )?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, family: AlgorithmFamily, secret: &[u8]) -> JwtResult<Self> {
        if algorithm != Algorithm::HS256 || family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Hmac::new_from_slice(secret)
            .map(Self)
            .map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let mut mac = self.0.clone();
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(signature)
            .map_err(SignatureError::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(
            &Secret::new("0123456789abcdef0123456789abcdef"),
            Duration::from_secs(60),
        )
    }

    #[test]
    fn a_token_names_its_user() {
        let token = tokens().issue(42, "a@example.org").unwrap();
        assert_eq!(tokens().verify(&token).unwrap(), Caller { id: 42_i64 });
    }

    #[test]
    fn a_token_of_another_secret_is_refused() {
        let other = Tokens::new(&Secret::random(), Duration::from_secs(60));
        let token = other.issue(42, "a@example.org").unwrap();
        let refused = tokens().verify::<i64>(&token).unwrap_err();
        assert_eq!(refused.status(), 401);
    }

    #[test]
    fn an_expired_token_is_refused() {
        let past = Tokens::new(
            &Secret::new("0123456789abcdef0123456789abcdef"),
            Duration::from_secs(0),
        );
        let token = past.issue(42, "a@example.org").unwrap();
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(past.verify::<i64>(&token).unwrap_err().status(), 401);
    }

    #[test]
    fn changing_any_character_is_noticed() {
        let token = tokens().issue(42, "a@example.org").unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert!(tokens().verify::<i64>(&forged).is_err(), "position {at}");
        }
    }

    #[test]
    fn the_signature_is_that_of_rfc_7515_appendix_a_1() {
        // The key and signing input of the RFC's example.
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
        let key = B64
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signer = Hs256::new(Algorithm::HS256, AlgorithmFamily::Hmac, &key).unwrap();
        let signature = signer.try_sign(input.as_bytes()).unwrap();
        assert_eq!(
            B64.encode(signature),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }
}
