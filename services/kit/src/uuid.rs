//! Ids of 128 bits (RFC 9562), the same type for both databases.
//!
//! PostgreSQL has a type for them; SQLite keeps their text, so that people can read it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sqlx::{
    Decode, Encode, Postgres, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef},
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type as SchemaType},
};

/// An id that nobody else has. Its text has 36 lower-case characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uuid(uuid::Uuid);

/// The text is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID")]
pub struct NoUuid;

impl Uuid {
    /// A new one. Later ones sort after earlier ones (version 7), so that rows are put at the end
    /// of their indexes instead of all over them.
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The one with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl Default for Uuid {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for Uuid {
    type Err = NoUuid;

    fn from_str(text: &str) -> Result<Self, NoUuid> {
        // The crate also reads braces and `urn:uuid:`; an id in a path has one form.
        match text.len() {
            36 => uuid::Uuid::try_parse(text).map(Self).map_err(|_| NoUuid),
            _ => Err(NoUuid),
        }
    }
}

impl PartialSchema for Uuid {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::String)
            .format(Some(SchemaFormat::Custom("uuid".to_owned())))
            .into()
    }
}

impl ToSchema for Uuid {}

impl Type<Postgres> for Uuid {
    fn type_info() -> PgTypeInfo {
        <uuid::Uuid as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Uuid {
    fn array_type_info() -> PgTypeInfo {
        <uuid::Uuid as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Uuid {
    fn encode_by_ref(&self, to: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <uuid::Uuid as Encode<'_, Postgres>>::encode_by_ref(&self.0, to)
    }
}

impl Decode<'_, Postgres> for Uuid {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        <uuid::Uuid as Decode<'_, Postgres>>::decode(value).map(Self)
    }
}

impl Type<Sqlite> for Uuid {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for Uuid {
    fn encode_by_ref(&self, to: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'_, Sqlite>>::encode(self.to_string(), to)
    }
}

impl Decode<'_, Sqlite> for Uuid {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<'_, Sqlite>>::decode(value)?;
        Ok(text.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::DatabaseUrl,
        database::{Database, query},
    };

    #[test]
    fn later_ones_sort_after_earlier_ones() {
        let made: Vec<Uuid> = (0..100).map(|_| Uuid::new()).collect();
        assert!(made.is_sorted());
    }

    #[test]
    fn only_the_plain_form_is_one() {
        let plain = "0190b6a0-1234-7abc-8def-0123456789ab";
        assert_eq!(plain.parse::<Uuid>().unwrap().to_string(), plain);
        let upper = plain.to_uppercase().parse::<Uuid>().unwrap();
        assert_eq!(upper.to_string(), plain);
        for other in [
            "",
            "1",
            &format!("{{{plain}}}"),
            &format!("urn:uuid:{plain}"),
            &plain.replace('-', ""),
            &format!("{plain} "),
            &plain.replace('a', "g"),
        ] {
            assert_eq!(other.parse::<Uuid>(), Err(NoUuid), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_uuid_comes_back_as_it_went(bytes in any::<[u8; 16]>()) {
            let id = Uuid::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<Uuid>(), Ok(id));
            prop_assert_eq!(serde_json::from_str::<Uuid>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        }
    }

    async fn goes_through(database: &Database) {
        let (id, other) = (Uuid::new(), Uuid::new());
        let none: Option<Uuid> = None;
        let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
        let text = crate::text!(
            "SELECT * FROM (SELECT $1 AS id, $2 AS other, $3 AS day) AS one WHERE id IN "
            { "(SELECT value FROM json_each($4))" | "(SELECT unnest($4))" }
        );
        let row: (Uuid, Option<Uuid>, chrono::NaiveDate) = query(text)
            .bind(id)
            .bind(none)
            .bind(day)
            .bind(vec![other, id])
            .fetch_one(database.read())
            .await
            .unwrap();
        assert_eq!(row, (id, None, day));
    }

    #[tokio::test]
    async fn both_databases_give_back_ids_and_days_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
        goes_through(&Database::open(&url, 1).await.unwrap()).await;
        let server = throwaway::Postgres::shared().unwrap();
        let empty = server.database().unwrap();
        let url = DatabaseUrl::parse(&empty.url()).unwrap();
        goes_through(&Database::open(&url, 1).await.unwrap()).await;
    }
}
