//! The invented data: the same for the same numbers, of the promised shape, and as the service
//! would have counted it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::OnceLock,
    time::Duration,
};

use challenges::{
    MIGRATIONS,
    seed::{self, Done, PASSWORD, Plan, SeedError},
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use service_kit::{
    config::{DatabaseUrl, Secret},
    database::{Database, Dialect, Record, Text, Wording, query},
    password::Passwords,
    token::Tokens,
    uuid::Uuid,
};
use tokio::runtime::Runtime;

const TABLES: [&str; 9] = [
    "accounts",
    "user_profiles",
    "friendships",
    "challenges",
    "challenge_habits",
    "challenge_members",
    "check_ins",
    "hitch_log",
    "notifications",
];

/// A migrated database of its own for one test; gone when dropped.
struct Filled {
    database: Database,
    runtime: Runtime,
    folder: tempfile::TempDir,
    _on_server: Option<throwaway::Database>,
}

impl Filled {
    fn empty() -> Self {
        Self::empty_on(crate::DIALECT)
    }

    fn empty_on(dialect: Dialect) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, on_server) = match dialect {
            Dialect::Sqlite => {
                let file = folder.path().join("challenges.db");
                (format!("sqlite:{}", file.display()), None)
            }
            Dialect::Postgres => {
                let database = server().database().unwrap();
                (database.url(), Some(database))
            }
        };
        let runtime = Runtime::new().unwrap();
        let database = runtime.block_on(async {
            let url = DatabaseUrl::parse(&url).unwrap();
            let database = Database::open(&url, 2).await.unwrap();
            database.migrate(MIGRATIONS).await.unwrap();
            database
        });
        Self {
            database,
            runtime,
            folder,
            _on_server: on_server,
        }
    }

    fn with(scale: u32, seed: u64) -> Self {
        let filled = Self::empty();
        filled.fill(&plan(scale, seed)).unwrap();
        filled
    }

    fn fill(&self, plan: &Plan) -> Result<Done, SeedError> {
        self.runtime.block_on(plan.run_at(&self.database, now()))
    }

    fn all<T: Record>(&self, sql: impl Into<Wording>) -> Vec<T> {
        let rows = query(sql).fetch_all(self.database.write());
        self.runtime.block_on(rows).unwrap()
    }

    fn texts(&self, sql: impl Into<Wording>) -> Vec<String> {
        let rows = self.all::<(String,)>(sql).into_iter();
        rows.map(|(text,)| text).collect()
    }

    fn count(&self, of: &str) -> i64 {
        let number = query(format!("SELECT count(*) FROM {of}"));
        let number = number.fetch_scalar(self.database.write());
        self.runtime.block_on(number).unwrap()
    }

    /// Every column of every row of every table as one text per row, the same for both databases.
    fn content(&self) -> Vec<String> {
        TABLES.iter().flat_map(|table| self.rows(table)).collect()
    }

    fn rows(&self, table: &str) -> Vec<String> {
        let cells: Vec<String> = self.cells(table);
        let row = cells.join(" || '|' || ");
        self.texts(format!("SELECT {row} FROM {table} ORDER BY id"))
    }

    /// What only one of them has is left out: the number of a profile, generated columns.
    fn cells(&self, table: &str) -> Vec<String> {
        let columns: Vec<(String, String)> = self.all(match self.database.dialect() {
            Dialect::Sqlite => format!(
                "SELECT name, type FROM pragma_table_info('{table}') WHERE name <> 'number'"
            ),
            Dialect::Postgres => format!(
                "SELECT column_name::text, data_type::text FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name = '{table}'
                   AND is_generated = 'NEVER'
                 ORDER BY ordinal_position"
            ),
        });
        let cells = columns.iter().map(|(name, kind)| match kind.as_str() {
            "timestamp with time zone" => {
                format!("to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS+00:00')")
            }
            "boolean" => format!("CASE WHEN {name} THEN '1' ELSE '0' END"),
            "jsonb" => format!(
                "(SELECT string_agg(key || '=' || value, ',' ORDER BY key COLLATE \"C\") FROM jsonb_each_text({name}))"
            ),
            _ if name == "data" => format!(
                "(SELECT group_concat(key || '=' || value, ',') FROM (SELECT key, value FROM json_each({name}) ORDER BY key))"
            ),
            _ => format!("CAST({name} AS TEXT)"),
        });
        cells
            .map(|cell| format!("coalesce({cell}, 'NULL')"))
            .collect()
    }
}

/// The lease on the shared server is the process's.
fn server() -> &'static throwaway::Postgres {
    static SERVER: OnceLock<throwaway::Postgres> = OnceLock::new();
    SERVER.get_or_init(|| throwaway::Postgres::shared().unwrap())
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// The day of the seed, as both databases read it.
const TODAY: &str = "'2023-11-14'";
const IN_SIXTY_DAYS: &str = "'2024-01-13'";

fn plan(scale: u32, seed: u64) -> Plan {
    Plan {
        scale,
        seed,
        ..Plan::default()
    }
}

#[test]
fn the_same_numbers_give_the_same_rows() {
    let one = Filled::with(210, 7).content();
    assert!(one.len() > 40_000, "{}", one.len());
    assert!(one == Filled::with(210, 7).content());
    assert!(one != Filled::with(210, 8).content());
}

#[test]
fn both_databases_get_the_same_rows() {
    if crate::DIALECT == Dialect::Sqlite {
        // Compared where there are both.
        return;
    }
    let other = Filled::empty_on(Dialect::Sqlite);
    other.fill(&plan(210, 7)).unwrap();
    let (here, there) = (Filled::with(210, 7).content(), other.content());
    let differs = here.iter().zip(&there).find(|(here, there)| here != there);
    assert_eq!(differs, None);
    assert_eq!(here.len(), there.len());
}

#[test]
fn a_database_with_users_is_left_alone_unless_told() {
    let filled = Filled::with(200, 7);
    let before = filled.content();
    let mut again = plan(210, 8);
    let refused = filled.fill(&again);
    assert!(matches!(refused, Err(SeedError::NotEmpty { users: 200 })));
    assert!(filled.content() == before);
    again.replace = true;
    let done = filled.fill(&again).unwrap();
    assert_eq!(done.users, 210);
    assert!(filled.content() == Filled::with(210, 8).content());
    assert_eq!(filled.count("habits"), 10);
    the_search_index_is_whole(&filled);
}

/// Triggers of SQLite, the index of PostgreSQL.
fn following(filled: &Filled) -> Vec<String> {
    filled.texts(Text {
        sqlite: "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY name",
        postgres: "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname",
    })
}

fn the_search_index_is_whole(filled: &Filled) {
    assert_eq!(following(filled), following(&Filled::empty()));
    if crate::DIALECT == Dialect::Sqlite {
        let check = "INSERT INTO people_search (people_search, rank) VALUES ('integrity-check', 1)";
        let check = query(check).execute(filled.database.write());
        filled.runtime.block_on(check).unwrap();
        assert_eq!(filled.count("pragma_foreign_key_check"), 0);
    }
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_database_as_it_was() {
    let filled = Filled::empty();
    let mut plan = plan(200, 7);
    plan.users_csv = Some(PathBuf::from("/proc/no/users.csv"));
    assert!(matches!(filled.fill(&plan), Err(SeedError::Csv { .. })));
    assert_eq!(filled.content(), Vec::<String>::new());
    assert_eq!(following(&filled), following(&Filled::empty()));
}

#[test]
fn what_was_done_is_counted_and_in_proportion() {
    let filled = Filled::empty();
    let done = filled.fill(&plan(400, 7)).unwrap();
    let near = |made: usize, table: &str, promised: usize| {
        assert_eq!(i64::try_from(made).unwrap(), filled.count(table), "{table}");
        let off = made.abs_diff(promised) * 100 / promised;
        assert!(off <= 10, "{made} {table}");
    };
    near(done.users, "user_profiles", 400);
    near(done.check_ins, "check_ins", 400 * 200);
    near(done.friendships, "friendships", 400 * 13);
    near(done.members, "challenge_members", 400 * 19 / 2 + 500);
    assert_eq!(done.users, 400);
    let notices = filled.count("notifications");
    assert!((400 * 22..400 * 34).contains(&notices), "{notices}");
    let challenges = filled.count("challenges");
    assert!((300..500).contains(&challenges), "{challenges}");
    assert!(filled.count("hitch_log") > 20);
}

#[test]
fn all_accounts_have_the_password() {
    let filled = Filled::with(200, 7);
    let hashes = filled.texts("SELECT DISTINCT password_hash FROM accounts");
    assert_eq!(hashes.len(), 1);
    let passwords = Passwords::new().unwrap();
    let right = passwords.verify(PASSWORD, Some(&hashes[0]));
    assert!(filled.runtime.block_on(right).unwrap());
    let wrong = "accounts AS a JOIN user_profiles AS p ON p.id = a.id
        WHERE p.email <> a.email OR p.search_text NOT LIKE '% user% example org'";
    assert_eq!(filled.count(wrong), 0);
}

/// Ids of version 7 that rise with the time of creation.
#[test]
fn ids_rise_with_time() {
    let filled = Filled::with(200, 7);
    for table in TABLES {
        let time = match table {
            "challenge_members" => "joined_at",
            "challenge_habits" => continue,
            _ => "created_at",
        };
        let rows = format!("SELECT id, {time} FROM {table} ORDER BY id");
        let rows: Vec<(Uuid, DateTime<Utc>)> = filled.all(rows);
        assert!(rows.iter().is_sorted_by_key(|(_, at)| at), "{table}");
        for (id, at) in rows {
            let text = id.to_string();
            assert_eq!(&text[14..15], "7", "{table} {text}");
            let milliseconds = i64::from_str_radix(&text.replace('-', "")[..12], 16).unwrap();
            assert_eq!(milliseconds, at.timestamp_millis());
            assert!(at <= now(), "{table} {at}");
        }
    }
}

/// What is kept of the check-ins of a member, or of a user in all challenges.
#[derive(Debug, Default, PartialEq, sqlx_macros::FromRow)]
struct Kept {
    check_ins: i64,
    points: i64,
    current_streak: i64,
    longest_streak: i64,
    last_checkin_date: Option<NaiveDate>,
    streak_ends_at: Option<DateTime<Utc>>,
    prior_streak: i64,
    prior_longest: i64,
    prior_date: Option<NaiveDate>,
    prior_ends_at: Option<DateTime<Utc>>,
    last_checkin_at: Option<DateTime<Utc>>,
    prior_checkin_at: Option<DateTime<Utc>>,
}

/// Check-ins of each day: how many points, and when the last one was.
type ByDay = BTreeMap<NaiveDate, (i64, i64, DateTime<Utc>)>;

impl Kept {
    fn recounted(days: &ByDay) -> Self {
        let all: Vec<NaiveDate> = days.keys().copied().collect();
        let Some((last, before)) = all.split_last() else {
            return Self::default();
        };
        let (current_streak, longest_streak) = streaks(&all);
        let (prior_streak, prior_longest) = streaks(before);
        let ends = |day: NaiveDate| (day + Days::new(2)).and_time(NaiveTime::MIN).and_utc();
        let prior = before.last().copied();
        Self {
            check_ins: days.values().map(|(count, ..)| count).sum(),
            points: days.values().map(|(_, points, _)| points).sum(),
            current_streak,
            longest_streak,
            last_checkin_date: Some(*last),
            streak_ends_at: Some(ends(*last)),
            prior_streak,
            prior_longest,
            prior_date: prior,
            prior_ends_at: prior.map(ends),
            last_checkin_at: Some(days[last].2),
            prior_checkin_at: prior.map(|prior| days[&prior].2),
        }
    }
}

/// The run of days at the end, and the longest one.
fn streaks(days: &[NaiveDate]) -> (i64, i64) {
    let (mut current, mut longest, mut last) = (0, 0, None);
    for day in days {
        current = if last == day.pred_opt() {
            current + 1
        } else {
            1
        };
        longest = longest.max(current);
        last = Some(*day);
    }
    (current, longest)
}

const STREAK: &str = "current_streak, longest_streak, last_checkin_date, streak_ends_at,
    prior_streak, prior_longest, prior_date, prior_ends_at";

type Row = (Uuid, Uuid, Uuid, NaiveDate, i64, DateTime<Utc>);

#[test]
fn every_counter_is_what_the_check_ins_say() {
    let filled = Filled::with(400, 7);
    let check_ins: Vec<Row> = filled.all(
        "SELECT challenge_id, habit_id, user_id, checkin_date, points, created_at FROM check_ins",
    );
    let mut of_member: HashMap<(Uuid, Uuid), ByDay> = HashMap::new();
    let mut of_user: HashMap<Uuid, ByDay> = HashMap::new();
    let mut of_habit: HashMap<(Uuid, Uuid), i64> = HashMap::new();
    for (challenge, habit, user, date, points, at) in &check_ins {
        assert_eq!(*date, at.date_naive());
        *of_habit.entry((*challenge, *habit)).or_default() += 1;
        for days in [
            of_member.entry((*challenge, *user)).or_default(),
            of_user.entry(*user).or_default(),
        ] {
            let day = days.entry(*date).or_insert((0, 0, *at));
            *day = (day.0 + 1, day.1 + points, day.2.max(*at));
        }
    }
    for (challenge, _, user, date, points, _) in &check_ins {
        let days = &of_member[&(*challenge, *user)];
        let covered = days.contains_key(&date.pred_opt().unwrap());
        assert_eq!(*points, if covered { 20 } else { 10 });
    }
    members_agree(&filled, &of_member);
    profiles_agree(&filled, &of_user);
    let habits: Vec<(Uuid, Uuid, i64)> =
        filled.all("SELECT challenge_id, habit_id, total_checkins FROM challenge_habits");
    for (challenge, habit, total) in habits {
        assert_eq!(of_habit.remove(&(challenge, habit)).unwrap_or(0), total);
    }
    assert_eq!(
        of_habit.len(),
        0,
        "check-ins of habits that are not asked for"
    );
}

fn members_agree(filled: &Filled, counted: &HashMap<(Uuid, Uuid), ByDay>) {
    let ids: Vec<(Uuid, Uuid)> =
        filled.all("SELECT challenge_id, user_id FROM challenge_members ORDER BY id");
    let kept: Vec<Kept> = filled.all(format!(
        "SELECT total_checkins AS check_ins, points_earned AS points, last_checkin_at,
                prior_checkin_at, {STREAK}
         FROM challenge_members ORDER BY id"
    ));
    let without = ByDay::new();
    let mut found = 0;
    for (id, kept) in ids.iter().zip(kept) {
        let days = counted.get(id).inspect(|_| found += 1).unwrap_or(&without);
        assert_eq!(kept, Kept::recounted(days));
    }
    assert_eq!(
        found,
        counted.len(),
        "check-ins of people who are no members"
    );
}

fn profiles_agree(filled: &Filled, counted: &HashMap<Uuid, ByDay>) {
    let ids: Vec<(Uuid,)> = filled.all("SELECT id FROM user_profiles ORDER BY id");
    let kept: Vec<Kept> = filled.all(format!(
        "SELECT total_check_ins AS check_ins, points, NULL AS last_checkin_at,
                NULL AS prior_checkin_at, {STREAK}
         FROM user_profiles ORDER BY id"
    ));
    for ((id,), kept) in ids.iter().zip(kept) {
        let expected = Kept {
            last_checkin_at: None,
            prior_checkin_at: None,
            ..counted.get(id).map(Kept::recounted).unwrap_or_default()
        };
        assert_eq!(kept, expected);
    }
    let wrong = filled.count(
        "user_profiles AS p WHERE total_challenges_completed <> (
            SELECT count(*) FROM challenge_members AS m
            JOIN challenges AS c ON c.id = m.challenge_id
            WHERE m.user_id = p.id AND m.status = 'active' AND c.status = 'completed')",
    );
    assert_eq!(wrong, 0);
}

#[test]
fn members_and_days_fit_their_challenges() {
    let filled = Filled::with(400, 7);
    let never = |rows: &str| assert_eq!(filled.count(rows), 0, "{rows}");
    never(
        "challenges AS c WHERE member_count <> (SELECT count(*) FROM challenge_members AS m
            WHERE m.challenge_id = c.id AND m.status = 'active')",
    );
    never(
        "challenges AS c WHERE 1 <> (SELECT count(*) FROM challenge_members AS m
            WHERE m.challenge_id = c.id AND m.role = 'creator' AND m.user_id = c.created_by)",
    );
    never(
        "challenge_members AS m JOIN challenges AS c ON c.id = m.challenge_id
        WHERE m.joined_at < c.created_at OR (m.status = 'active') <> (m.left_at IS NULL)
           OR m.left_at < m.joined_at OR (m.role = 'creator' AND m.status <> 'active')",
    );
    never(
        "check_ins AS i JOIN challenges AS c ON c.id = i.challenge_id
        WHERE i.checkin_date < c.start_date OR i.checkin_date > c.end_date OR c.status = 'pending'",
    );
    never(
        "check_ins AS i JOIN challenge_members AS m
              ON m.challenge_id = i.challenge_id AND m.user_id = i.user_id
        WHERE i.created_at < m.joined_at OR i.created_at > m.left_at",
    );
    never("check_ins WHERE photo_url IS NULL AND video_url IS NULL AND caption IS NULL");
    never(&format!(
        "challenges WHERE status = 'active'
        AND (start_date > {TODAY} OR end_date < {IN_SIXTY_DAYS})"
    ));
    never(&format!(
        "challenges WHERE status = 'pending' AND start_date <= {TODAY}"
    ));
    never(&format!(
        "challenges WHERE status IN ('completed', 'failed', 'archived') AND end_date >= {TODAY}"
    ));
    never("friendships WHERE updated_at < created_at");
    never("notifications WHERE is_read <> (read_at IS NOT NULL) OR read_at < created_at");
    let codes = filled.texts("SELECT invite_code FROM challenges");
    let signs = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    assert!(
        codes
            .iter()
            .all(|code| code.len() == 6 && code.chars().all(|sign| signs.contains(sign)))
    );
    let hitches = "challenge_members AS m WHERE hitch_count <> 2 - (
        SELECT count(DISTINCT created_at) FROM hitch_log AS h
        WHERE h.challenge_id = m.challenge_id AND h.sender_id = m.user_id)";
    never(hitches);
    let today = format!("check_ins WHERE checkin_date = {TODAY}");
    assert!(filled.count(&today) > 100);
    let sizes =
        filled.all::<(i64,)>("SELECT member_count FROM challenges WHERE status = 'completed'");
    assert!(sizes.iter().any(|(size,)| *size > 20));
}

const COLUMNS: [&str; 18] = [
    "user_id",
    "token",
    "email",
    "challenge_id",
    "habit_id",
    "challenge_2",
    "habit_2",
    "own_challenge_id",
    "own_habit_id",
    "join_code",
    "join_challenge_id",
    "friend_id",
    "stranger_id",
    "comember_id",
    "comember_challenge_id",
    "comember_habit_id",
    "checkin_id",
    "notification_id",
];

/// The users of the file with the values of their columns.
fn listed(filled: &Filled, scale: u32) -> Vec<HashMap<&'static str, String>> {
    let tokens = tokens();
    let file = filled.folder.path().join("users.csv");
    let mut plan = plan(scale, 7);
    plan.users_csv = Some(file.clone());
    plan.tokens = Some(tokens.clone());
    filled.fill(&plan).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let (head, lines) = text.split_once('\n').unwrap();
    assert_eq!(head, COLUMNS.join(","));
    let users: Vec<HashMap<_, _>> = lines
        .lines()
        .map(|line| {
            COLUMNS
                .into_iter()
                .zip(line.split(',').map(str::to_owned))
                .collect()
        })
        .collect();
    for (user, number) in users.iter().zip(1..) {
        assert_eq!(user["email"], format!("user{number}@example.org"));
        let caller = tokens.verify::<Uuid>(&user["token"]).unwrap();
        assert_eq!(caller.id.to_string(), user["user_id"]);
    }
    users
}

fn tokens() -> Tokens {
    Tokens::new(
        &Secret::new("a secret of the tests, long enough"),
        Duration::from_secs(60),
    )
}

#[test]
fn the_users_file_names_what_there_is() {
    for scale in [0, 400] {
        let filled = Filled::empty();
        let users = listed(&filled, scale);
        assert_eq!(users.len(), 200);
        for user in &users {
            assert!(user.values().all(|value| !value.is_empty()), "{user:?}");
            promises(&filled, user);
        }
        let own: HashSet<_> = users.iter().map(|user| &user["own_challenge_id"]).collect();
        assert_eq!(own.len(), 200);
        let pairs = users.iter().map(|user| {
            let (one, other) = (&user["user_id"], &user["stranger_id"]);
            (one.min(other), one.max(other))
        });
        assert_eq!(pairs.collect::<HashSet<_>>().len(), 200);
    }
}

/// What a user of the file can do next.
fn promises(filled: &Filled, user: &HashMap<&'static str, String>) {
    let one = |of: String| assert_eq!(filled.count(&of), 1, "{of}");
    let none = |of: String| assert_eq!(filled.count(&of), 0, "{of}");
    let id = &user["user_id"];
    for (challenge, habit, role) in [
        ("challenge_id", "habit_id", "member"),
        ("challenge_2", "habit_2", "member"),
        ("own_challenge_id", "own_habit_id", "creator"),
    ] {
        let (challenge, habit) = (&user[challenge], &user[habit]);
        one(format!(
            "challenges AS c
             JOIN challenge_habits AS h ON h.challenge_id = c.id
             JOIN challenge_members AS m ON m.challenge_id = c.id
             WHERE c.id = '{challenge}' AND h.habit_id = '{habit}' AND m.user_id = '{id}'
               AND (m.role = '{role}' OR ('{role}' = 'member' AND m.role = 'admin'))
               AND m.status = 'active' AND m.hitch_count = 2 AND {OPEN}"
        ));
    }
    one(format!(
        "challenges WHERE id = '{}' AND max_members = 50 AND member_count <= 10",
        user["own_challenge_id"]
    ));
    let (code, join) = (&user["join_code"], &user["join_challenge_id"]);
    one(format!(
        "challenges AS c WHERE id = '{join}' AND invite_code = '{code}' AND {OPEN}
         AND member_count <= max_members - 20"
    ));
    none(format!(
        "challenge_members WHERE challenge_id = '{join}' AND user_id = '{id}'"
    ));
    people(filled, user);
    one(format!(
        "check_ins WHERE id = '{}' AND user_id = '{id}' AND checkin_date < {TODAY}",
        user["checkin_id"]
    ));
    one(format!(
        "notifications WHERE id = '{}' AND user_id = '{id}' AND NOT is_read",
        user["notification_id"]
    ));
}

/// Where there can be check-ins for a while, of any kind that a caption is.
const OPEN: &str = "c.status = 'active' AND c.checkin_type IN ('any', 'photo')
    AND c.start_date <= '2023-11-14' AND c.end_date >= '2024-01-13'";

fn people(filled: &Filled, user: &HashMap<&'static str, String>) {
    let id = &user["user_id"];
    let between = |other: &str| {
        let other = &user[other];
        format!(
            "friendships WHERE (requester_id = '{id}' AND addressee_id = '{other}')
             OR (requester_id = '{other}' AND addressee_id = '{id}')"
        )
    };
    let friend = format!(
        "(SELECT status FROM {}) AS f WHERE status = 'accepted'",
        between("friend_id")
    );
    assert_eq!(filled.count(&friend), 1);
    assert_eq!(filled.count(&between("stranger_id")), 0);
    assert_ne!(id, &user["stranger_id"]);
    assert_ne!(id, &user["comember_id"]);
    assert_eq!(user["comember_challenge_id"], user["challenge_id"]);
    let (challenge, other) = (&user["comember_challenge_id"], &user["comember_id"]);
    let comember = format!(
        "challenge_members AS m JOIN challenge_habits AS h ON h.challenge_id = m.challenge_id
         WHERE m.challenge_id = '{challenge}' AND m.user_id = '{other}' AND m.status = 'active'
           AND h.habit_id = '{}'",
        user["comember_habit_id"]
    );
    assert_eq!(filled.count(&comember), 1);
    let today = format!(
        "check_ins WHERE challenge_id = '{challenge}' AND user_id = '{other}' AND checkin_date = {TODAY}"
    );
    assert_eq!(filled.count(&today), 0);
}

/// The first 200 are full users whatever the scale.
#[test]
fn listed_users_are_full_users() {
    for scale in [200, 1500] {
        let filled = Filled::with(scale, 7);
        let all = |condition: String| {
            let wrong = format!(
                "user_profiles AS u WHERE u.id IN (SELECT id FROM user_profiles ORDER BY id LIMIT 200)
                 AND NOT ({condition})"
            );
            assert_eq!(filled.count(&wrong), 0, "{condition}");
        };
        all("u.total_check_ins BETWEEN 150 AND 260".to_owned());
        all("25 <= (SELECT count(*) FROM notifications AS n WHERE n.user_id = u.id)".to_owned());
        all(
            "3 <= (SELECT count(*) FROM notifications AS n WHERE n.user_id = u.id AND NOT is_read)"
                .to_owned(),
        );
        let friends = "SELECT count(*) FROM friendships AS f WHERE";
        all(format!(
            "12 <= ({friends} f.status = 'accepted' AND u.id IN (f.requester_id, f.addressee_id))"
        ));
        all(format!(
            "3 <= ({friends} f.status = 'pending' AND u.id = f.requester_id)"
        ));
        all(format!(
            "3 <= ({friends} f.status = 'pending' AND u.id = f.addressee_id)"
        ));
        let members = "SELECT count(*) FROM challenge_members AS m JOIN challenges AS c ON c.id = m.challenge_id WHERE m.user_id = u.id";
        all(format!("8 <= ({members})"));
        all(format!(
            "4 <= ({members} AND m.status = 'active' AND m.role <> 'creator' AND c.member_count >= 4 AND {OPEN})"
        ));
        all(format!(
            "1 <= ({members} AND m.status = 'active' AND m.total_checkins > 0 AND c.status = 'completed')"
        ));
        all(format!("1 = ({members} AND m.status = 'left')"));
        all(format!(
            "0 = ({members} AND m.status = 'active' AND c.status = 'active' AND NOT ({OPEN}))"
        ));
        all(format!(
            "0 = (SELECT count(*) FROM check_ins AS i WHERE i.user_id = u.id AND i.checkin_date = {TODAY})"
        ));
    }
}

#[test]
fn a_plan_shows_no_secret() {
    let mut plan = plan(1, 7);
    plan.tokens = Some(tokens());
    assert!(!format!("{plan:?}").contains("secret"));
}

#[test]
fn without_a_secret_the_file_has_no_tokens() {
    let filled = Filled::empty();
    let file = filled.folder.path().join("users.csv");
    let mut plan = plan(0, 7);
    plan.users_csv = Some(file.clone());
    filled
        .runtime
        .block_on(seed::run(&filled.database, &plan))
        .unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let fields: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(
        (fields.len(), fields[1], fields[2]),
        (18, "", "user1@example.org")
    );
}
