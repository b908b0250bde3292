//! Lists in pages: `page` and `limit`, or a `cursor` that goes on after the last row shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    cursor,
    fields::within,
    page::{DEEPEST, DEFAULT_SIZE},
    problem::Fields,
    query::Params,
    uuid::Uuid,
};

/// Rows of the longest page.
pub(crate) const LARGEST: i64 = 100;

/// Which part of a list a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Part<K> {
    pub(crate) page: i64,
    pub(crate) limit: i64,
    /// The last row before it.
    pub(crate) after: Option<K>,
}

/// The place of a row in a list that begins with the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Newest(pub(crate) DateTime<Utc>, pub(crate) Uuid);

/// What stands beside the rows of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct PageInfo {
    /// Rows of the whole list.
    total: i64,
    /// The number of this page, from 1.
    page: i64,
    /// Rows on a page.
    limit: i64,
    /// Pages of the whole list.
    pages: i64,
    /// Value for `cursor` that goes on after this page, if rows follow.
    next_cursor: Option<String>,
}

impl<K: serde::de::DeserializeOwned> Part<K> {
    /// Reads `page`, `limit` (20 unless it says so, 100 at most) and `cursor`; faults go to `fields`.
    pub(crate) fn read(params: &Params, fields: &mut Fields) -> Self {
        Self::read_up_to(params, DEFAULT_SIZE, LARGEST, fields)
    }

    /// The same, for pages of another size.
    pub(crate) fn read_up_to(
        params: &Params,
        usual: i64,
        largest: i64,
        fields: &mut Fields,
    ) -> Self {
        let asked = params.integer("page", fields);
        let page = within("page", asked, 1, 1..=i64::MAX, fields);
        let limit = params.integer("limit", fields);
        let limit = within("limit", limit, usual, 1..=largest, fields);
        let cursor = params.get("cursor");
        if cursor.is_some() && asked.is_some() {
            let message = "cannot be used together with page";
            fields.insert("cursor".to_owned(), message.to_owned());
        }
        let after = cursor.and_then(|text| match cursor::decode("cursor", text) {
            Ok(key) => Some(key),
            Err(problem) => {
                fields.extend(problem.fields().clone());
                None
            }
        });
        let part = Self { page, limit, after };
        if part.offset() > DEEPEST {
            let message = format!("more than {DEEPEST} rows deep; go on with cursor");
            fields.insert("page".to_owned(), message);
        }
        part
    }
}

impl<K> Part<K> {
    /// Rows before it.
    pub(crate) fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.limit)
    }

    /// Rows to read: one more than shown tells whether there are more.
    pub(crate) fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// Whether this many rows, the last of the list among them, say how many there are in all.
    pub(crate) fn tells_total(&self, read: usize) -> Option<i64> {
        let read = i64::try_from(read).unwrap_or(i64::MAX);
        let is_last = read <= self.limit && (read > 0 || self.page == 1);
        (self.after.is_none() && is_last).then(|| self.offset() + read)
    }
}

impl<K: Serialize> Part<K> {
    /// Takes the row that is not shown, and says what stands beside the others.
    pub(crate) fn finish<T>(
        &self,
        rows: &mut Vec<T>,
        total: i64,
        key: impl FnOnce(&T) -> K,
    ) -> PageInfo {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        rows.truncate(shown);
        let last = rows.last().filter(|_| more);
        PageInfo {
            total,
            page: self.page,
            limit: self.limit,
            pages: pages(total, self.limit),
            next_cursor: last.map(|row| cursor::encode(&key(row))),
        }
    }
}

fn pages(total: i64, limit: i64) -> i64 {
    (total + limit - 1) / limit.max(1)
}

#[cfg(test)]
mod tests {
    use service_kit::problem::Problem;

    use super::*;

    fn read(query: &str) -> Result<Part<Newest>, Problem> {
        let mut fields = Fields::new();
        let part = Part::read(&Params::parse(query), &mut fields);
        crate::wording::check_query(fields).map(|()| part)
    }

    #[test]
    fn a_page_says_how_much_there_is_and_where_to_go_on() {
        let part = read("page=2&limit=2").unwrap();
        assert_eq!((part.offset(), part.rows()), (2, 3));
        let mut rows = vec![3, 4, 5];
        let at = Newest(DateTime::UNIX_EPOCH, Uuid::new());
        let info = part.finish(&mut rows, 7, |_| at);
        assert_eq!(rows, [3, 4]);
        assert_eq!(
            (info.total, info.page, info.limit, info.pages),
            (7, 2, 2, 4)
        );
        let next = read(&format!("limit=2&cursor={}", info.next_cursor.unwrap())).unwrap();
        assert_eq!(next.after, Some(at));
        assert_eq!((part.tells_total(2), part.tells_total(3)), (Some(4), None));
        assert_eq!((part.tells_total(0), next.tells_total(1)), (None, None));
    }

    #[test]
    fn what_cannot_be_a_page_is_named() {
        for (query, name) in [
            ("page=0", "query.page"),
            ("page=x", "query.page"),
            ("limit=0", "query.limit"),
            ("limit=101", "query.limit"),
            ("page=502&limit=20", "query.page"),
            ("cursor=abc", "query.cursor"),
        ] {
            let problem = read(query).unwrap_err();
            assert_eq!(problem.fields().keys().collect::<Vec<_>>(), [name]);
        }
        assert_eq!(pages(0, 20), 0);
    }
}
