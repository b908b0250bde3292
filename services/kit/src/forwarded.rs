//! How a request arrived: whose it is and under which name it was asked, also behind
//! proxies.
//!
//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239) are what anybody can
//! write, so they count only from proxies that are listed. Where a proxy writes one kind,
//! it must remove the other; `X-Forwarded-For` wins over `Forwarded`.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use ipnet::IpNet;

use crate::{config::ConfigError, page::is_host};

/// The proxies whose word counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Whose request it is: the peer of the connection, or whom a trusted proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// How a request arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) client: IpAddr,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// The host that the client asked for, where a proxy names it.
    pub(crate) host: Option<String>,
}

/// An app that believes these proxies about who asked, and in which way.
pub fn trust(app: Router, proxies: TrustedProxies) -> Router {
    app.layer(from_fn_with_state(proxies, arrive))
}

async fn arrive(
    State(proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = peer(request.extensions());
    let arrival = proxies.arrival(request.headers(), peer);
    request.extensions_mut().insert(arrival);
    next.run(request).await
}

/// Without a connection (a test that calls the app itself) everybody is nobody.
fn peer(extensions: &axum::http::Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| {
            peer.0.ip().to_canonical()
        })
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let arrival = parts.extensions.get::<Arrival>();
        Ok(Self(arrival.map_or_else(
            || peer(&parts.extensions),
            |arrival| arrival.client,
        )))
    }
}

impl TrustedProxies {
    /// Reads `TRUSTED_PROXIES`: networks or addresses with commas between them.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = lookup("TRUSTED_PROXIES").unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(|one| {
                let address = || one.parse::<IpAddr>().map(IpNet::from);
                one.parse().or_else(|_| address()).map_err(|_| ConfigError {
                    variable: "TRUSTED_PROXIES",
                    problem: format!("`{one}` is not a network"),
                    remedy: "write networks with commas between them, like 127.0.0.1/32,10.0.0.0/8"
                        .to_owned(),
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Each proxy adds the address that it was asked from at the end of the list. From the
    /// end, the first one that is not a trusted proxy is the client; what stands before it,
    /// the client may have written itself.
    fn arrival(&self, headers: &HeaderMap, peer: IpAddr) -> Arrival {
        let mut arrival = Arrival {
            client: peer,
            scheme: "http",
            host: None,
        };
        if !self.contains(peer) {
            return arrival;
        }
        let hops = hops(headers);
        let mut from = hops.first();
        for hop in &hops {
            let Some(address) = hop.address else { break };
            arrival.client = address;
            from = Some(hop);
            if !self.contains(address) {
                break;
            }
        }
        if let Some(from) = from {
            if from.https {
                arrival.scheme = "https";
            }
            arrival.host = from.host.clone().filter(|host| is_host(host));
        }
        arrival
    }
}

/// What one proxy says of the request that it got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    /// From where; `None` when it does not tell, or nothing that is an address.
    address: Option<IpAddr>,
    https: bool,
    host: Option<String>,
}

/// What the proxies say, the nearest one first.
fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let standard = members(headers, "forwarded", |line| split_unquoted(line, ','));
    if standard.is_empty() || headers.contains_key("x-forwarded-for") {
        return customary_hops(headers);
    }
    standard.iter().map(|text| standard_hop(text)).collect()
}

/// `X-Forwarded-*`: one list for each property. A scheme or host given once holds for all.
fn customary_hops(headers: &HeaderMap) -> Vec<Hop> {
    let [addresses, schemes, hosts] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
        .map(|name| {
            members(headers, name, |line| {
                Some(line.split(',').map(trimmed).collect())
            })
        });
    let at = |all: &[String], place: usize| all.get(place).or(all.last()).cloned();
    let places = addresses.len().max(schemes.len()).max(hosts.len());
    (0..places)
        .map(|place| Hop {
            address: addresses.get(place).and_then(|text| address(text)),
            https: at(&schemes, place).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: at(&hosts, place),
        })
        .collect()
}

/// One element of `Forwarded`: `for=192.0.2.60;proto=http;host=example.org`.
fn standard_hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split_unquoted(element, ';').unwrap_or_default() {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = unquoted(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.address = address(&value),
            "proto" => hop.https = value.eq_ignore_ascii_case("https"),
            "host" => hop.host = Some(value),
            _ => {}
        }
    }
    hop
}

/// The members of a header, over all its lines, the last one first. A line that cannot be
/// split is one member that says nothing.
fn members(
    headers: &HeaderMap,
    name: &str,
    split: impl Fn(&str) -> Option<Vec<String>>,
) -> Vec<String> {
    let mut members: Vec<String> = headers
        .get_all(name)
        .iter()
        .flat_map(|line| {
            let line = String::from_utf8_lossy(line.as_bytes());
            split(&line).unwrap_or_else(|| vec![String::new()])
        })
        .collect();
    members.reverse();
    members
}

fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

/// Parts between separators that stand outside quoted strings; `None` when a quote stays
/// open. A client that opens one would swallow what the proxies add after it.
fn split_unquoted(text: &str, separator: char) -> Option<Vec<String>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text
        .split(|c: char| {
            let separates = c == separator && !quoted;
            if !escaped && c == '"' {
                quoted = !quoted;
            }
            escaped = quoted && !escaped && c == '\\';
            separates
        })
        .map(trimmed)
        .collect();
    (!quoted).then_some(parts)
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut escaped = false;
    inner
        .chars()
        .filter(|c| {
            escaped = !escaped && *c == '\\';
            !escaped
        })
        .collect()
}

/// An address with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address: Option<IpAddr> = bare.unwrap_or(text).parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|one| one.ip());
    address.or_else(with_port).map(|one| one.to_canonical())
}

#[cfg(test)]
mod tests;
