//! The habits of the system, as the migration has inserted them.

use service_kit::uuid::Uuid;

/// Their names, in the order of their ids.
pub(super) const NAMES: [&str; 10] = [
    "Morning Exercise",
    "Drink Water",
    "Read Books",
    "Meditation",
    "Healthy Eating",
    "Learn Something New",
    "Sleep Early",
    "Gratitude Journal",
    "No Social Media",
    "Connect with Loved Ones",
];

/// The last digits of their ids, which are written in decimal.
const LAST_BYTES: [u8; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10];

/// The id of one of them.
pub(super) fn id(place: usize) -> Uuid {
    let mut bytes = [0; 16];
    bytes[15] = LAST_BYTES[place];
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_migration() {
        let migration = include_str!("../../migrations/sqlite/0002_challenges.sql");
        for (place, name) in NAMES.iter().enumerate() {
            let row = format!("('{}', '{name}', ", id(place));
            assert!(migration.contains(&row), "{row}");
        }
    }
}
