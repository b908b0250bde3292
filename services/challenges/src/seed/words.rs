//! Words for invented people, challenges and what is said about them.

/// First names.
pub(super) const FIRST: &[&str] = &[
    "Aiko", "Alma", "Anton", "Aylin", "Bruno", "Cem", "Chiara", "Daria", "Edith", "Emil", "Enzo",
    "Farid", "Frida", "Greta", "Hamid", "Helen", "Idris", "Ida", "Jakub", "Joana", "Kofi", "Laila",
    "Lars", "Lin", "Mateo", "Meera", "Milan", "Nadia", "Nico", "Oskar", "Pia", "Rafael", "Ravi",
    "Selma", "Silas", "Tomas", "Uma", "Vera", "Yusuf", "Zoe",
];

/// Last names.
pub(super) const LAST: &[&str] = &[
    "Almeida", "Andersen", "Becker", "Bianchi", "Cohen", "Demir", "Eriksen", "Fontaine", "Gruber",
    "Haddad", "Horvat", "Ibrahim", "Ivanova", "Jansen", "Khan", "Kruger", "Lopez", "Mensah",
    "Mori", "Nowak", "Olsen", "Park", "Peeters", "Reyes", "Schmid", "Sharma", "Tanaka", "Vogel",
    "Wang", "Zimmer",
];

/// What people say about themselves.
pub(super) const BIOS: &[&str] = &[
    "Early bird, slow runner.",
    "One page a day keeps the screen away.",
    "Here for the streaks.",
    "Learning to do less, every day.",
    "Tea, trees and ten thousand steps.",
    "Two kids, one yoga mat.",
    "Training for my first half marathon.",
    "Trying again. It is going well so far.",
];

/// When something is done, before a theme.
pub(super) const WHEN: &[&str] = &[
    "Before breakfast",
    "After work",
    "Every single day",
    "On weekdays too",
    "This season",
    "All together now",
    "No excuses",
    "One step at a time",
    "Back on track",
    "Spring reset",
    "Autumn focus",
    "Small wins",
];

/// Who does something together.
pub(super) const GROUPS: &[&str] = &[
    "the office",
    "the neighbours",
    "my sisters",
    "the running club",
    "old friends",
    "the book circle",
    "flat 12",
    "the night shift",
    "the choir",
    "the team",
];

/// What a challenge is about.
pub(super) const DESCRIPTIONS: &[&str] = &[
    "We check in every day and cheer for each other.",
    "Miss a day and you bring cake.",
    "Nothing heroic: show up, do it, write a line about it.",
    "For everybody who has tried this alone and given up in the second week.",
    "A photo or a sentence is enough. Be honest.",
    "The longest streak picks the next challenge.",
];

/// What is written under a check-in.
pub(super) const CAPTIONS: &[&str] = &[
    "Done before the coffee was ready.",
    "Harder than yesterday, but done.",
    "Rain all morning, went anyway.",
    "Short and sweet today.",
    "Almost forgot this one.",
    "Felt great.",
    "Tired, but the streak lives.",
    "Took the long way home for it.",
    "With company today.",
    "Not my best, still counts.",
    "Twice as long as planned.",
    "Quiet morning, good start.",
    "Did it on the train.",
    "The kids joined in.",
    "New record.",
    "Slow day, small step.",
];
