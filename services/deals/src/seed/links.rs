//! What links are made of: tokens, and how often they were opened.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use service_kit::seed::Dice;

/// What stands in a link: 48 random bytes as 64 letters that a URL takes as they are.
pub(super) fn token(dice: &mut Dice) -> String {
    URL_SAFE_NO_PAD.encode(dice.bytes::<48>())
}

/// How often a link was opened, after Zipf: half of all never, one in 4000 2000 times.
pub(super) fn views(dice: &mut Dice) -> i64 {
    2000 / dice.number(1..=4000)
}
