//! The file of users: who they are and what is theirs, for tests and measurements.

use service_kit::{
    seed::{SeedError, bearer},
    token::Tokens,
};

use super::world::{LISTED, Listed, World, email};

const HEADER: &str = "user_id,token,collection_100,collection_150,public_100,listing_id,\
                      share_token,collection_token,inbox_token,recipient_id\n";

/// One line for each listed user. Ids and tokens need no quotes; without listings there are no
/// shares, and their fields are empty.
pub(super) fn text(world: &World, tokens: Option<&Tokens>) -> Result<String, SeedError> {
    let mut text = HEADER.to_owned();
    for (user, id) in world.listed.iter().zip(1..) {
        let (listing, link) = match &user.link {
            Some((listing, token)) => (listing.to_string(), token.as_str()),
            None => (String::new(), ""),
        };
        let public = nearest_public(world, id);
        let fields = [
            id.to_string(),
            bearer(tokens, id, &email(id))?,
            user.hundred.to_string(),
            user.hundred_fifty.to_string(),
            public.hundred.to_string(),
            listing,
            link.to_owned(),
            public.hundred_token.clone().unwrap_or_default(),
            user.inbox.clone().unwrap_or_default(),
            (id % LISTED + 1).to_string(),
        ];
        text += &fields.join(",");
        text.push('\n');
    }
    Ok(text)
}

/// The collections of odd users are public: the user's own, or those of the user before.
fn nearest_public(world: &World, id: i64) -> &Listed {
    // An id counts from 1.
    let odd = if id % 2 == 1 { id } else { id - 1 };
    &world.listed[odd as usize - 1]
}
