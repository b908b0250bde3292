//! Invented links to listings, deals sent from user to user, and what users are told of them.

use chrono::{DateTime, TimeDelta, Utc};
use service_kit::seed::{Cells, Dice};

use super::{
    links, words,
    world::{LISTED, World},
};

/// Deals that each listed user has received and not looked at.
const UNVIEWED: usize = 3;

/// A row to make: by or for whom, and whether the file of users may name it.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) user: i64,
    pub(super) named: bool,
}

/// A link to a listing.
pub(super) struct Link {
    pub(super) listing: i64,
    pub(super) token: String,
    wanted: Wanted,
    views: i64,
    crawlers: i64,
    created: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
}

/// A deal from one user to another.
pub(super) struct Deal {
    id: i64,
    sender: i64,
    wanted: Wanted,
    listing: i64,
    pub(super) token: String,
    message: Option<&'static str>,
    shared: DateTime<Utc>,
    viewed: Option<DateTime<Utc>>,
    imported: Option<DateTime<Utc>>,
}

/// So many for each listed user to be named, and others for anybody.
fn wanted(dice: &mut Dice, users: i64, each: usize, others: i64) -> Vec<Wanted> {
    let listed = (1..=LISTED.min(users)).map(|user| Wanted { user, named: true });
    let mut all: Vec<Wanted> = listed
        .flat_map(|row| std::iter::repeat_n(row, each))
        .collect();
    for _ in 0..others {
        let user = dice.number(1..=users);
        all.push(Wanted { user, named: false });
    }
    dice.shuffle(&mut all);
    all
}

/// The creators of `scale / 10` links, at least 200.
pub(super) fn links_wanted(world: &mut World) -> Vec<Wanted> {
    let users = world.users();
    let others = i64::from(world.scale / 10) - LISTED;
    wanted(&mut world.dice, users, 1, others)
}

/// The recipients of `scale / 10` deals, at least 400, and of 600 more that nobody has looked
/// at.
pub(super) fn deals_wanted(world: &mut World) -> Vec<Wanted> {
    let users = world.users();
    let others = i64::from(world.scale / 10).max(400);
    wanted(&mut world.dice, users, UNVIEWED, others)
}

pub(super) fn link(world: &mut World, wanted: Wanted, number: i64, count: i64) -> Link {
    let dice = &mut world.dice;
    let created = dice.spread(number, count, TimeDelta::days(90), TimeDelta::hours(2));
    let views = links::views(dice);
    let expires = link_end(dice, created, wanted.named);
    Link {
        token: links::token(dice),
        wanted,
        views,
        crawlers: dice.number(0..=views / 4),
        created,
        expires,
        listing: world.listing_before(created),
    }
}

/// 60 % will expire, 10 % have, 30 % never do. Those to be named hold for some weeks.
fn link_end(dice: &mut Dice, created: DateTime<Utc>, named: bool) -> Option<DateTime<Utc>> {
    let now = dice.now();
    let (least, states) = if named { (60, 90) } else { (1, 100) };
    match dice.number(0..=states - 1) {
        0..60 => Some(now + TimeDelta::days(dice.number(least..=180))),
        60..90 => None,
        _ => Some(dice.between(created + TimeDelta::hours(1), now)),
    }
}

/// 60 % of those that need not be new have been looked at, 30 % of these were imported.
pub(super) fn deal(world: &mut World, wanted: Wanted, number: i64, count: i64) -> Deal {
    let users = world.users();
    let dice = &mut world.dice;
    let now = dice.now();
    let shared = dice.spread(number, count, TimeDelta::days(25), TimeDelta::hours(2));
    let viewed = if wanted.named { 0 } else { 60 };
    let viewed = dice.maybe(viewed, |dice| dice.between(shared, now));
    let imported = viewed.and_then(|viewed| dice.maybe(30, |dice| dice.between(viewed, now)));
    // Anybody but the recipient.
    let sender = (wanted.user - 1 + dice.number(1..=users - 1)) % users + 1;
    Deal {
        id: number + 1,
        sender,
        wanted,
        token: links::token(dice),
        message: dice.maybe(60, |dice| dice.pick(words::MESSAGES)),
        shared,
        viewed,
        imported,
        listing: world.listing_before(shared),
    }
}

impl Link {
    pub(super) fn cells(&self) -> Cells {
        vec![
            ("listing_id", self.listing.into()),
            ("created_by", self.wanted.user.into()),
            ("share_token", (&self.token).into()),
            ("view_count", self.views.into()),
            ("crawler_views", self.crawlers.into()),
            ("created_at", self.created.into()),
            ("expires_at", self.expires.into()),
        ]
    }
}

impl Deal {
    pub(super) fn cells(&self) -> Cells {
        vec![
            ("id", self.id.into()),
            ("sender_id", self.sender.into()),
            ("recipient_id", self.wanted.user.into()),
            ("listing_id", self.listing.into()),
            ("share_token", (&self.token).into()),
            ("message", self.message.into()),
            ("shared_at", self.shared.into()),
            ("expires_at", (self.shared + TimeDelta::days(30)).into()),
            ("viewed_at", self.viewed.into()),
            ("imported_at", self.imported.into()),
            ("created_at", self.shared.into()),
        ]
    }
}

/// What a user is told.
struct Notice {
    user: i64,
    share: i64,
    kind: &'static str,
    title: String,
    message: String,
    read: Option<DateTime<Utc>>,
    created: DateTime<Utc>,
}

/// What the users of these deals are told, in the order of time.
pub(super) fn notices(world: &mut World, deals: &[Deal]) -> Vec<Cells> {
    let mut notices = Vec::new();
    for deal in deals {
        notices.push(received(world, deal));
        notices.extend(imported(world, deal));
    }
    notices.sort_by_key(|notice| (notice.created, notice.share));
    notices.into_iter().map(Notice::cells).collect()
}

/// 70 % of those whose deal was looked at have been read.
fn received(world: &mut World, deal: &Deal) -> Notice {
    let read = deal.viewed.filter(|_| world.dice.percent(70));
    let sender = world.name(deal.sender);
    Notice {
        user: deal.wanted.user,
        share: deal.id,
        kind: "share_received",
        title: format!("New deal from {sender}"),
        message: format!(
            "{sender} shared a deal with you: {}",
            world.title(deal.listing)
        ),
        read,
        created: deal.shared,
    }
}

fn imported(world: &mut World, deal: &Deal) -> Option<Notice> {
    let created = deal.imported?;
    let now = world.dice.now();
    let read = world.dice.maybe(70, |dice| dice.between(created, now));
    let recipient = world.name(deal.wanted.user);
    Some(Notice {
        user: deal.sender,
        share: deal.id,
        kind: "share_imported",
        title: format!("{recipient} saved your deal"),
        message: format!("{recipient} saved your deal: {}", world.title(deal.listing)),
        read,
        created,
    })
}

impl Notice {
    fn cells(self) -> Cells {
        vec![
            ("user_id", self.user.into()),
            ("share_id", self.share.into()),
            ("type", self.kind.into()),
            ("title", self.title.into()),
            ("message", self.message.into()),
            ("read_at", self.read.into()),
            ("created_at", self.created.into()),
            ("updated_at", self.read.unwrap_or(self.created).into()),
        ]
    }
}
