//! Lists in pages: what a request asks for, and the envelope of the answer.

use axum::{
    extract::FromRequestParts,
    http::{Uri, header, request::Parts},
};
use serde::Serialize;

use crate::{
    forwarded::Arrival,
    problem::{Fields, Problem},
    query::Params,
};

/// Rows on a page when the request does not say.
pub const DEFAULT_SIZE: i64 = 20;
/// Rows that a numbered page may skip. Deeper pages cost more the deeper they are.
pub const DEEPEST: i64 = 10_000;
/// A numbered list counts its rows up to here.
pub const COUNT_CAP: i64 = 1_000;

/// Which page a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows on the page.
    pub size: i64,
    /// Where it begins.
    pub start: Start,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// `page=`: the page with this number, counted from 1. Counts rows, gives links.
    Number(i64),
    /// `cursor=`: after the row that the cursor names, or at the beginning when it is empty.
    Cursor(Option<String>),
}

impl PageRequest {
    /// Reads `page`, `page_size` (clamped to `largest`) and `cursor`; faults go to `fields`.
    pub fn read(params: &Params, largest: i64, fields: &mut Fields) -> Self {
        let size = params.integer("page_size", fields).unwrap_or(DEFAULT_SIZE);
        if size < 1 {
            fields.insert("page_size".to_owned(), "must be at least 1".to_owned());
        }
        let size = size.clamp(1, largest);
        let number = params.integer("page", fields);
        let start = match (params.get_even_empty("cursor"), number) {
            (Some(_), Some(_)) => {
                fields.insert(
                    "cursor".to_owned(),
                    "cannot be used together with page".to_owned(),
                );
                Start::Cursor(None)
            }
            (Some(text), None) => {
                Start::Cursor(Some(text.to_owned()).filter(|text| !text.is_empty()))
            }
            (None, number) => Start::Number(number.unwrap_or(1)),
        };
        let request = Self { size, start };
        if let Start::Number(number) = request.start
            && number < 1
        {
            fields.insert("page".to_owned(), "pages are counted from 1".to_owned());
        } else if request.offset() > DEEPEST {
            fields.insert(
                "page".to_owned(),
                format!("more than {DEEPEST} rows deep; use cursor= (start with it empty)"),
            );
        }
        request
    }

    /// Rows before the page.
    pub fn offset(&self) -> i64 {
        match self.start {
            Start::Number(number) => number.saturating_sub(1).max(0).saturating_mul(self.size),
            Start::Cursor(_) => 0,
        }
    }

    /// Rows to read: one more than shown tells whether there is a next page.
    pub fn limit(&self) -> i64 {
        self.size + 1
    }
}

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// Rows of the whole list, exact up to a cap; left out on cursor pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// There are more rows than `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_capped: Option<bool>,
    /// Absolute URL of the next page.
    pub next: Option<String>,
    /// Absolute URL of the page before; cursor pages know only the way ahead.
    pub previous: Option<String>,
    /// Value for `cursor=` that continues after this page, whichever way it was reached.
    pub next_cursor: Option<String>,
    /// The rows.
    pub results: Vec<T>,
}

impl<T> Page<T> {
    /// Puts a page in its envelope.
    ///
    /// `results` has the rows to show, `next_cursor` is there if more follow, `count` is
    /// the count up to [`COUNT_CAP`] `+ 1` of a numbered page.
    ///
    /// # Errors
    /// 404 when a numbered page after the first one is empty.
    pub fn new(
        request: &PageRequest,
        link: &Link,
        results: Vec<T>,
        next_cursor: Option<String>,
        count: Option<i64>,
    ) -> Result<Self, Problem> {
        let (next, previous) = match request.start {
            Start::Number(number) => {
                if results.is_empty() && number > 1 {
                    return Err(Problem::not_found(format!("page {number} is past the end")));
                }
                let next = next_cursor.as_ref().map(|cursor| {
                    if (request.offset() + request.size) > DEEPEST {
                        link.with("cursor", cursor)
                    } else {
                        link.with("page", &(number + 1).to_string())
                    }
                });
                (
                    next,
                    (number > 1).then(|| link.with("page", &(number - 1).to_string())),
                )
            }
            Start::Cursor(_) => (
                next_cursor
                    .as_ref()
                    .map(|cursor| link.with("cursor", cursor)),
                None,
            ),
        };
        Ok(Self {
            count: count.map(|count| count.min(COUNT_CAP)),
            count_capped: count.map(|count| count > COUNT_CAP),
            next,
            previous,
            next_cursor,
            results,
        })
    }
}

/// The URL of the request, absolute, to make other URLs from.
#[derive(Debug, Clone)]
pub struct Link {
    origin: String,
    uri: Uri,
}

impl Link {
    /// `http://host`, without a slash at the end; scheme and host as the client used them,
    /// where a trusted proxy tells ([`crate::forwarded`]).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The URL of the request with the page changed.
    fn with(&self, key: &str, value: &str) -> String {
        let kept = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
            .filter(|(name, _)| name != "page" && name != "cursor");
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair(key, value)
            .finish();
        format!("{}{}?{query}", self.origin, self.uri.path())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Link {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Arrival>();
        let scheme = arrival.map_or("http", |arrival| arrival.scheme);
        let asked = arrival.and_then(|arrival| arrival.host.as_deref());
        let host = match (asked, parts.headers.get(header::HOST)) {
            (Some(host), _) => Some(host),
            (None, Some(host)) => host.to_str().ok().filter(|host| is_host(host)),
            (None, None) => Some("localhost"),
        };
        let host = host.ok_or_else(|| Problem::malformed("the Host header is not a host name"))?;
        Ok(Self {
            origin: format!("{scheme}://{host}"),
            uri: parts.uri.clone(),
        })
    }
}

/// The name goes into links, so nothing may end the URL's authority early.
pub(crate) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<PageRequest, Fields> {
        let mut fields = Fields::new();
        let request = PageRequest::read(&Params::parse(query), 50, &mut fields);
        if fields.is_empty() {
            Ok(request)
        } else {
            Err(fields)
        }
    }

    #[test]
    fn sizes_are_clamped_and_default_to_twenty() {
        assert_eq!(
            read("").unwrap(),
            PageRequest {
                size: 20,
                start: Start::Number(1)
            }
        );
        assert_eq!(read("page_size=999").unwrap().size, 50);
    }

    #[test]
    fn bad_pages_are_named() {
        for (query, field) in [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=x", "page"),
            ("page=99999999999999999999", "page"),
            ("page=9223372036854775807", "page"),
            ("page=502", "page"),
            ("page_size=0", "page_size"),
            ("page=1&cursor=abc", "cursor"),
        ] {
            assert!(read(query).unwrap_err().contains_key(field), "{query}");
        }
        assert!(read("page=501").is_ok());
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let link = Link {
            origin: "http://h".to_owned(),
            uri: "/feed/?search=a%26b&page=2".parse().unwrap(),
        };
        let request = PageRequest {
            size: 1,
            start: Start::Number(2),
        };
        let page = Page::new(&request, &link, vec![1], Some("c".into()), Some(3)).unwrap();
        assert_eq!(page.next.unwrap(), "http://h/feed/?search=a%26b&page=3");
        assert_eq!(page.previous.unwrap(), "http://h/feed/?search=a%26b&page=1");
    }

    #[test]
    fn counts_above_the_cap_say_so() {
        let link = Link {
            origin: String::new(),
            uri: "/".parse().unwrap(),
        };
        let request = PageRequest {
            size: 1,
            start: Start::Number(1),
        };
        let page = Page::new(&request, &link, vec![1], None, Some(COUNT_CAP + 1)).unwrap();
        assert_eq!(
            (page.count, page.count_capped),
            (Some(COUNT_CAP), Some(true))
        );
    }
}
