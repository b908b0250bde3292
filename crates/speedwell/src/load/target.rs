//! `--target http://host:port`: a service that runs already, found and reached.

use std::{net::SocketAddr, time::Duration};

use tokio::net::{TcpStream, lookup_host};

/// A service that does not take a connection within this is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a running service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name or address, as it is sent in the `host` header.
    host: String,
    port: u16,
}

/// Why a service cannot be loaded where `--target` says it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("cannot find the host of --target {target}: {reason}")]
    Unknown { target: String, reason: String },
    #[error(
        "nothing answers at --target {target}: {reason}; start the service, or leave --target out to have it started"
    )]
    Unreachable { target: String, reason: String },
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{why}; write http://host:port"));
        let uri: http::Uri = match text.parse() {
            Ok(uri) => uri,
            Err(error) => return wrong(&error.to_string()),
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "TLS is not spoken: a load through it would measure the client's own cryptography; give the address behind the proxy, as http://host:port"
                        .to_owned(),
                );
            }
            _ => return wrong("the scheme is missing"),
        }
        let Some(host) = uri.host() else {
            return wrong("the host is missing");
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return wrong("a path does not belong here, it stands in the routes");
        }
        let port = uri.port_u16();
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        if port.is_none() && authority.trim_end_matches(':') != host {
            return wrong("it is more than a host and a port");
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(80),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

impl Target {
    /// What the `host` header says.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            80 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// The address at which the service takes a connection.
    ///
    /// # Errors
    /// [`TargetError`] when the host is not known or nothing listens there.
    pub(crate) async fn reach(&self) -> Result<SocketAddr, TargetError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let unknown = |reason: String| TargetError::Unknown {
            target: self.to_string(),
            reason,
        };
        let addresses: Vec<SocketAddr> = lookup_host((host, self.port))
            .await
            .map_err(|error| unknown(error.to_string()))?
            .collect();
        let mut last = "it has no address".to_owned();
        for address in addresses {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(_)) => return Ok(address),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("no connection within {} s", CONNECT.as_secs()),
            }
        }
        Err(TargetError::Unreachable {
            target: self.to_string(),
            reason: last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        let target = |text: &str| text.parse::<Target>().map(|target| target.to_string());
        for (text, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://shop.test", "http://shop.test"),
            ("http://[::1]:81", "http://[::1]:81"),
        ] {
            assert_eq!(target(text), Ok(shown.to_owned()));
        }
        for (text, part) in [
            ("127.0.0.1:8080", "http://host:port"),
            ("localhost", "scheme is missing"),
            ("https://localhost", "TLS"),
            ("http://localhost/api", "path does not belong here"),
            ("http://localhost:99999", "http://host:port"),
            ("http://ann@localhost", "more than a host"),
        ] {
            let error = target(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
