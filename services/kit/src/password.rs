//! Passwords: hashed with argon2id, away from the async threads.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::{Semaphore, oneshot};

use crate::{background::Background, problem::Problem};

/// Hashes and checks passwords, as many at a time as there are cores.
///
/// A hash costs about 19 MiB and some ten milliseconds by design. Without the limit a
/// burst of sign-ins would fill memory and starve every other request.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// So many wait for a thread that those who go away meanwhile cost nothing.
    places: Arc<Semaphore>,
    threads: Background,
    /// What a sign-in with an unknown address is checked against, so that it takes as
    /// long as one with a wrong password.
    nobody: Arc<str>,
}

/// Why passwords cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// There are no threads.
    #[error("the system gives no threads to hash passwords: {0}; raise its limit of processes")]
    Threads(std::io::Error),
    /// There is no salt.
    #[error("the system gives no random numbers to hash passwords: {0}")]
    Random(argon2::password_hash::Error),
}

impl Passwords {
    /// A hasher for this machine, with threads of its own that step back behind those that answer
    /// requests: signing in is slow by design, nothing else has to be.
    ///
    /// # Errors
    /// The system gives no random numbers, or no threads.
    pub fn new() -> Result<Self, PasswordsError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            places: Arc::new(Semaphore::new(cores)),
            threads: Background::start("password", cores).map_err(PasswordsError::Threads)?,
            nobody: hash_now("nobody has this password")
                .map_err(PasswordsError::Random)?
                .into(),
        })
    }

    /// The PHC string of a password, with a salt of its own.
    ///
    /// # Errors
    /// 500 when the system gives no random numbers.
    pub async fn hash(&self, password: &str) -> Result<String, Problem> {
        let password = password.to_owned();
        self.run(move || hash_now(&password))
            .await?
            .map_err(|error| {
                tracing::error!(%error, "cannot hash a password");
                Problem::internal()
            })
    }

    /// Whether `password` belongs to `hash`; without a hash it takes as long and is false.
    ///
    /// # Errors
    /// 500 when the work is interrupted.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, Problem> {
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.nobody.to_string(), str::to_owned);
        let password = password.to_owned();
        let right = self.run(move || matches_now(&password, &hash)).await?;
        Ok(right && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let (answer, result) = oneshot::channel();
        self.threads.put(move || {
            let _place = place;
            // Nobody waits any more when the request has timed out.
            let _gone = answer.send(work());
        });
        result.await.map_err(|error| {
            tracing::error!(%error, "password hashing was interrupted");
            Problem::internal()
        })
    }
}

/// The PHC string of a password, on the calling thread: for a seed, which needs one.
///
/// # Errors
/// The system gives no random numbers.
pub fn hash_now(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default()
        .hash_password(password.as_bytes())?
        .to_string())
}

/// The PHC string of a password with a salt that the caller chose. For data that must
/// come out the same each time; never for real accounts.
///
/// # Errors
/// The salt is shorter than 8 bytes.
pub fn hash_with_salt(password: &str, salt: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash =
        Argon2::default().hash_password_with_salt(password.as_bytes(), salt)?;
    Ok(hash.to_string())
}

fn matches_now(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches_and_nobody_has_one() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("Correct1").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.verify("Correct1", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct1", Some(&hash)).await.unwrap());
        assert!(
            !passwords
                .verify("nobody has this password", None)
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("Correct1", Some("not a hash"))
                .await
                .unwrap()
        );
    }

    #[test]
    fn a_chosen_salt_gives_the_same_hash() {
        let hash = hash_with_salt("Correct1", b"a fixed salt").unwrap();
        assert_eq!(hash, hash_with_salt("Correct1", b"a fixed salt").unwrap());
        assert!(matches_now("Correct1", &hash));
    }
}
