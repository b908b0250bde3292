//! The query string of a request, read by name with messages by name.

use std::{convert::Infallible, str::FromStr};

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::problem::Fields;

/// The parameters of a query string. Of a text given several times the first counts; anything else
/// that is given several times is a fault.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string; any text is one.
    pub fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The value of a parameter, trimmed; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_even_empty(name)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// The value of a parameter as it came.
    pub fn get_even_empty(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first of several names that is present, with its name.
    pub fn any<'a>(&self, names: &[&'a str]) -> Option<(&'a str, &str)> {
        names
            .iter()
            .find_map(|name| self.get(name).map(|value| (*name, value)))
    }

    /// A whole number; a fault goes to `fields`.
    pub fn integer(&self, name: &str, fields: &mut Fields) -> Option<i64> {
        self.read(name, "must be a whole number", fields)
    }

    /// A finite number; a fault goes to `fields`.
    pub fn number(&self, name: &str, fields: &mut Fields) -> Option<f64> {
        let value: f64 = self.read(name, "must be a number", fields)?;
        if !value.is_finite() {
            fields.insert(name.to_owned(), "must be a number".to_owned());
            return None;
        }
        Some(value)
    }

    /// `true`, `1`, `yes` or `false`, `0`, `no`; absent means false. A fault goes to `fields`.
    pub fn flag(&self, name: &str, fields: &mut Fields) -> bool {
        if self.is_repeated(name, fields) {
            return false;
        }
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "1" | "yes") => true,
            None | Some("false" | "0" | "no") => false,
            Some(_) => {
                fields.insert(name.to_owned(), "must be true or false".to_owned());
                false
            }
        }
    }

    /// Which of several numbers is meant nobody knows; that goes to `fields`.
    fn is_repeated(&self, name: &str, fields: &mut Fields) -> bool {
        let repeated = self.0.iter().filter(|(key, _)| key == name).count() > 1;
        if repeated {
            fields.insert(name.to_owned(), "must be given once".to_owned());
        }
        repeated
    }

    fn read<T: FromStr>(&self, name: &str, message: &str, fields: &mut Fields) -> Option<T> {
        if self.is_repeated(name, fields) {
            return None;
        }
        let value = self.get(name)?;
        let read = value.parse().ok();
        if read.is_none() {
            fields.insert(name.to_owned(), message.to_owned());
        }
        read
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_parameter() {
        let params = Params::parse("a=1&b=x&c=NaN&d=maybe&e=");
        let mut fields = Fields::new();
        assert_eq!(params.integer("a", &mut fields), Some(1));
        assert_eq!(params.integer("b", &mut fields), None);
        assert_eq!(params.number("c", &mut fields), None);
        assert!(!params.flag("d", &mut fields));
        assert_eq!(params.integer("e", &mut fields), None);
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["b", "c", "d"]);
    }

    #[test]
    fn a_number_is_given_once_and_of_a_text_the_first_counts() {
        let params = Params::parse("a=1&a=2&b=true&b=true&c=x&c=y");
        let mut fields = Fields::new();
        assert_eq!(params.integer("a", &mut fields), None);
        assert!(!params.flag("b", &mut fields));
        assert_eq!(params.get("c"), Some("x"));
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
