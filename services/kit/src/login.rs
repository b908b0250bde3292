//! Guessing passwords is slow: failed sign-ins are limited by account and by client.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use crate::{
    config::{ConfigError, number},
    limiter::{Exceeded, Limit, Limiter},
    problem::Problem,
};

/// Failed sign-ins that are allowed in [`WINDOW`]; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginLimits {
    /// With one account, from wherever.
    pub per_account: Option<NonZeroU32>,
    /// From one client, with whatever accounts.
    pub per_address: Option<NonZeroU32>,
}

/// How long a failed sign-in counts.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Ten guesses in a quarter of an hour are plenty for a person and nothing for a machine.
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Many people may share one address (an office, a carrier's NAT).
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// A limit that a client can use up only in days is none.
pub const MOST: u32 = 100_000;
/// To push an account out of the memory takes this many other failed sign-ins within the
/// window, each of which costs the attacker a turn at argon2id: more than a hundred a second.
const KEYS: usize = 100_000;

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            per_account: Some(PER_ACCOUNT),
            per_address: Some(PER_ADDRESS),
        }
    }
}

impl LoginLimits {
    /// Reads `LOGIN_ATTEMPTS_PER_ACCOUNT` and `LOGIN_ATTEMPTS_PER_ADDRESS`.
    ///
    /// # Errors
    /// One of them is not a number from 0 (no limit) to [`MOST`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = |variable, usual| {
            let attempts = number(variable, lookup(variable), 0..=u64::from(MOST))?;
            Ok(attempts.map_or(Some(usual), |attempts| {
                NonZeroU32::new(u32::try_from(attempts).unwrap_or(MOST))
            }))
        };
        Ok(Self {
            per_account: read("LOGIN_ATTEMPTS_PER_ACCOUNT", PER_ACCOUNT)?,
            per_address: read("LOGIN_ATTEMPTS_PER_ADDRESS", PER_ADDRESS)?,
        })
    }
}

/// Counts failed sign-ins.
#[derive(Debug)]
pub struct LoginLimiter {
    accounts: Option<Limiter<String>>,
    clients: Option<Limiter<IpAddr>>,
}

/// A sign-in whose password is being checked. Dropped unsettled, it does not count:
/// nobody has learned anything.
#[derive(Debug)]
#[must_use = "say how the sign-in went"]
pub struct Attempt<'a> {
    limiter: &'a LoginLimiter,
    account: String,
    client: IpAddr,
}

impl LoginLimiter {
    /// A limiter that has seen nothing.
    pub fn new(limits: LoginLimits) -> Self {
        let limit = |attempts| Limit {
            attempts,
            window: WINDOW,
            keys: KEYS,
        };
        Self {
            accounts: limits.per_account.map(limit).map(Limiter::new),
            clients: limits.per_address.map(limit).map(Limiter::new),
        }
    }

    /// Begins a sign-in, before the password is checked. `account` is the name in the
    /// form in which it is compared, whether there is such an account or not.
    ///
    /// # Errors
    /// 429 with `Retry-After` when the account or the client has used up its attempts.
    pub fn begin(&self, account: &str, client: IpAddr) -> Result<Attempt<'_>, Problem> {
        let attempt = Attempt {
            limiter: self,
            account: account.to_owned(),
            client: one_customer(client),
        };
        attempt.check()?;
        Ok(attempt)
    }
}

impl Attempt<'_> {
    /// Says whether the password was right: a wrong one counts, a right one clears the
    /// account.
    ///
    /// # Errors
    /// 429 when other attempts used up the limit meanwhile. The answer must not tell how
    /// this one went, or guesses sent all at once would not be limited.
    pub fn settle(self, right: bool) -> Result<(), Problem> {
        let LoginLimiter { accounts, clients } = self.limiter;
        if right {
            self.check()?;
            if let Some(accounts) = accounts {
                accounts.reset(&self.account);
            }
            return Ok(());
        }
        let by_account = accounts.as_ref().map(|all| all.count(self.account));
        let by_client = clients.as_ref().map(|all| all.count(self.client));
        refuse([by_account, by_client])
    }

    fn check(&self) -> Result<(), Problem> {
        let LoginLimiter { accounts, clients } = self.limiter;
        refuse([
            accounts.as_ref().map(|all| all.check(&self.account)),
            clients.as_ref().map(|all| all.check(&self.client)),
        ])
    }
}

/// The longer wait of those that refuse.
fn refuse(checks: [Option<Result<(), Exceeded>>; 2]) -> Result<(), Problem> {
    let waits = checks.into_iter().flatten().filter_map(Result::err);
    match waits.map(|exceeded| exceeded.retry_after).max() {
        Some(wait) => Err(Problem::too_many_requests(
            "too many failed sign-ins, try again later",
            wait,
        )),
        None => Ok(()),
    }
}

/// One customer has a whole /64 of IPv6 to choose addresses from (RFC 6177); an IPv4
/// address is the same one in both spellings.
fn one_customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn limiter(per_account: u32, per_address: u32) -> LoginLimiter {
        LoginLimiter::new(LoginLimits {
            per_account: NonZeroU32::new(per_account),
            per_address: NonZeroU32::new(per_address),
        })
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// The status of one attempt: 401, 200 or 429.
    fn sign_in(limiter: &LoginLimiter, account: &str, from: IpAddr, right: bool) -> u16 {
        let done = limiter
            .begin(account, from)
            .and_then(|attempt| attempt.settle(right));
        match done {
            Ok(()) if right => 200,
            Ok(()) => 401,
            Err(problem) => problem.status().as_u16(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_ten_wrong_passwords_the_right_one_has_to_wait_too() {
        let limiter = LoginLimiter::new(LoginLimits::default());
        for last in 0..10 {
            assert_eq!(sign_in(&limiter, "a", client(last), false), 401);
        }
        tokio::time::advance(Duration::from_millis(500)).await;
        let problem = limiter.begin("a", client(99)).unwrap_err();
        let response = problem.into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "900", "rounded up");
        assert_eq!(sign_in(&limiter, "b", client(0), true), 200);
        tokio::time::advance(WINDOW).await;
        assert_eq!(sign_in(&limiter, "a", client(0), true), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_clears_the_account_but_not_the_client() {
        let limiter = limiter(3, 4);
        for (right, status) in [
            (false, 401),
            (false, 401),
            (true, 200),
            (false, 401),
            (false, 401),
        ] {
            assert_eq!(sign_in(&limiter, "a", client(1), right), status);
        }
        assert_eq!(
            sign_in(&limiter, "a", client(1), true),
            429,
            "four failures of the client"
        );
        assert_eq!(sign_in(&limiter, "a", client(2), true), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn right_passwords_never_count_however_many_come_at_once() {
        let limiter = limiter(1, 1);
        let at_once: Vec<_> = (0..500)
            .map(|_| limiter.begin("a", client(1)).unwrap())
            .collect();
        for attempt in at_once {
            attempt.settle(true).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_sent_all_at_once_learn_no_more_than_the_limit() {
        let limiter = limiter(10, 0);
        let mut at_once: Vec<_> = (0..50)
            .map(|last| limiter.begin("a", client(last)).unwrap())
            .collect();
        let lucky = at_once.pop().unwrap();
        let told = at_once
            .into_iter()
            .filter_map(|attempt| attempt.settle(false).ok())
            .count();
        assert_eq!(told, 10);
        assert_eq!(lucky.settle(true).unwrap_err().status(), 429);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_given_up_does_not_count() {
        let limiter = limiter(1, 1);
        drop(limiter.begin("a", client(1)).unwrap());
        assert_eq!(sign_in(&limiter, "a", client(1), false), 401);
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_refused() {
        let limiter = limiter(0, 0);
        for _ in 0..1000 {
            assert_eq!(sign_in(&limiter, "a", client(1), false), 401);
        }
    }

    #[test]
    fn limits_are_read_and_zero_is_none() {
        let read = |text: &str| LoginLimits::from_lookup(|_| Some(text.to_owned()));
        assert_eq!(
            LoginLimits::from_lookup(|_| None).unwrap(),
            LoginLimits::default()
        );
        assert_eq!(read("0").unwrap().per_account, None);
        assert_eq!(read("7").unwrap().per_address, NonZeroU32::new(7));
        for wrong in ["-1", "many", "100001"] {
            assert_eq!(
                read(wrong).unwrap_err().variable,
                "LOGIN_ATTEMPTS_PER_ACCOUNT"
            );
        }
    }

    #[test]
    fn a_client_cannot_escape_within_its_own_network() {
        let same =
            |a: &str, b: &str| one_customer(a.parse().unwrap()) == one_customer(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    }
}
