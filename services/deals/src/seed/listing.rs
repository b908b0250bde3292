//! Invented listings with what belongs to them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value as Json, json};
use service_kit::seed::{Cells, Dice};

use super::{
    parts::{Cpu, Parts, part},
    words,
};

/// Listings are spread over this time.
const OLDEST: TimeDelta = TimeDelta::days(180);

/// A listing, and how it was put together.
pub(super) struct Listing {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) created: DateTime<Utc>,
    updated: DateTime<Utc>,
    relations: Relations,
    machine: Machine,
    offer: Offer,
    figures: Figures,
    papers: Papers,
}

/// Ids of parts.
#[derive(Clone, Copy)]
struct Relations([Option<i64>; 8]);

/// The computer.
struct Machine {
    manufacturer: &'static str,
    series: &'static str,
    model: String,
    form_factor: &'static str,
    ram_gb: i64,
    primary: (i64, Option<&'static str>),
    secondary: Option<(i64, &'static str)>,
    license: Option<&'static str>,
}

/// Who sells it, where and how.
struct Offer {
    seller: String,
    price: Option<f64>,
    condition: &'static str,
    status: &'static str,
    partial: bool,
    marketplace: &'static str,
    item: Option<String>,
}

/// What is calculated from price and marks.
struct Figures {
    price: Option<f64>,
    adjusted: Option<f64>,
    multi: Option<f64>,
    single: Option<f64>,
    gpu: Option<f64>,
    tdp: Option<f64>,
}

/// The texts that hold JSON.
struct Papers {
    raw: Option<String>,
    attributes: Option<String>,
    other_urls: Option<String>,
    thumbnail: Option<String>,
    valuation: Option<String>,
    extraction: Option<String>,
    missing: Option<String>,
    components: Option<String>,
}

/// The listing of this number; a later one was created later.
pub(super) fn listing(dice: &mut Dice, parts: &Parts, number: u32, scale: u32) -> Listing {
    let id = i64::from(number) + 1;
    let created = dice.spread(id - 1, i64::from(scale), OLDEST, TimeDelta::zero());
    let relations = Relations::of(dice);
    let machine = Machine::of(dice, parts, relations);
    let cpu = part(&parts.cpus, relations.cpu());
    let title = machine.title(cpu);
    let figures = Figures::of(dice, parts, relations, &machine);
    let offer = Offer::of(dice, id, figures.price);
    let papers = Papers::of(dice, id, created, &title, &offer, figures.adjusted);
    let now = dice.now();
    let updated = dice.maybe(60, |dice| dice.between(created, now));
    Listing {
        id,
        title,
        created,
        updated: updated.unwrap_or(created),
        relations,
        machine,
        offer,
        figures,
        papers,
    }
}

impl Relations {
    /// All eight for 70 % of the listings, else one to four fewer.
    fn of(dice: &mut Dice) -> Self {
        const PARTS: [i64; 8] = [200, 40, Parts::PORTS_PROFILES, 5, 3, 40, 60, 60];
        let mut ids = PARTS.map(|parts| Some(dice.number(1..=parts)));
        if dice.percent(30) {
            let missing = dice.number(1..=4);
            for _ in 0..missing {
                let place = dice.pick(&[0, 1, 2, 3, 4, 5, 6, 7]);
                ids[place] = None;
            }
        }
        Self(ids)
    }

    fn cpu(self) -> Option<i64> {
        self.0[0]
    }

    fn cells(self) -> Cells {
        const NAMES: [&str; 8] = [
            "cpu_id",
            "gpu_id",
            "ports_profile_id",
            "active_profile_id",
            "ruleset_id",
            "ram_spec_id",
            "primary_storage_profile_id",
            "secondary_storage_profile_id",
        ];
        NAMES.into_iter().zip(self.0.map(|id| id.into())).collect()
    }
}

impl Machine {
    fn of(dice: &mut Dice, parts: &Parts, relations: Relations) -> Self {
        let [.., ram, primary, secondary] = relations.0;
        let (manufacturer, series) = words::MAKERS[dice.weighted(words::MAKER_WEIGHTS)];
        let ram = part(&parts.rams, ram).map(|ram| ram.total_gb());
        let stored = |id| part(&parts.storages, id).map(|storage| (storage.gb, storage.medium));
        let primary = match stored(primary) {
            Some((gb, medium)) => (gb, Some(medium)),
            None => (dice.pick(&[256, 512, 1024]), None),
        };
        Self {
            manufacturer,
            series: dice.pick(series),
            model: format!("{}0{}0", dice.pick(&[3, 5, 7]), dice.number(4..=9)),
            form_factor: words::FORM_FACTORS[dice.weighted(words::FORM_FACTOR_WEIGHTS)],
            ram_gb: ram.unwrap_or_else(|| dice.pick(&[4, 8, 16, 32])),
            primary,
            secondary: stored(secondary),
            license: dice.maybe(80, |dice| dice.pick(words::LICENSES)),
        }
    }

    fn title(&self, cpu: Option<&Cpu>) -> String {
        let name = format!("{} {} {}", self.manufacturer, self.series, self.model);
        let cpu = cpu.map(|cpu| format!(" {}", cpu.short)).unwrap_or_default();
        let size = match self.primary.0 {
            gb if gb >= 1024 => format!("{}TB", gb / 1024),
            gb => format!("{gb}GB"),
        };
        format!("{name} {}{cpu} {}GB {size}", self.form_factor, self.ram_gb)
    }

    fn cells(self) -> Cells {
        vec![
            ("manufacturer", self.manufacturer.into()),
            ("series", self.series.into()),
            (
                "device_model",
                format!("{} {} {}", self.manufacturer, self.series, self.model).into(),
            ),
            ("model_number", self.model.into()),
            ("form_factor", self.form_factor.into()),
            ("ram_gb", self.ram_gb.into()),
            ("primary_storage_gb", self.primary.0.into()),
            ("primary_storage_type", self.primary.1.into()),
            (
                "secondary_storage_gb",
                self.secondary.map(|(gb, _)| gb).into(),
            ),
            (
                "secondary_storage_type",
                self.secondary.map(|(_, medium)| medium).into(),
            ),
            ("os_license", self.license.into()),
        ]
    }
}

impl Offer {
    fn of(dice: &mut Dice, id: i64, price: Option<f64>) -> Self {
        let marketplace = ["ebay", "amazon", "other"][dice.weighted(&[55, 25, 20])];
        Self {
            seller: format!("{}-{}", dice.pick(words::SELLERS), dice.number(1..=40)),
            price,
            condition: ["used", "refurb", "new"][dice.weighted(&[65, 25, 10])],
            status: ["active", "archived", "pending"][dice.weighted(&[92, 5, 3])],
            partial: price.is_none() || dice.percent(5),
            marketplace,
            item: item(dice, marketplace, id),
        }
    }

    fn url(&self, id: i64) -> String {
        match &self.item {
            Some(item) => format!("https://www.{}.example/itm/{item}", self.marketplace),
            None => format!("https://shop.example/listing/{id}"),
        }
    }

    fn cells(self, id: i64, created: DateTime<Utc>, updated: DateTime<Utc>) -> Cells {
        vec![
            ("listing_url", self.url(id).into()),
            ("seller", self.seller.into()),
            ("price_usd", self.price.into()),
            ("price_date", self.price.map(|_| created).into()),
            ("condition", self.condition.into()),
            ("status", self.status.into()),
            (
                "quality",
                if self.partial { "partial" } else { "full" }.into(),
            ),
            ("vendor_item_id", self.item.into()),
            ("marketplace", self.marketplace.into()),
            ("provenance", format!("{}_import", self.marketplace).into()),
            ("last_seen_at", updated.into()),
            ("dedup_hash", format!("{:016x}", scrambled(id)).into()),
        ]
    }
}

/// Another number for each id below the prime.
fn scrambled(id: i64) -> i64 {
    id * 387_420_489 % 1_000_000_007
}

/// The number of the vendor: its last ten digits or six letters are no other item's.
fn item(dice: &mut Dice, marketplace: &str, id: i64) -> Option<String> {
    const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    match marketplace {
        "ebay" => Some(format!("{}{:010}", dice.number(11..=39), scrambled(id))),
        "amazon" => {
            let mut item = String::from("B0");
            let mut left = scrambled(id);
            for _ in 0..6 {
                // The remainder is a place in the list.
                item.push(LETTERS[(left % 36) as usize].into());
                left /= 36;
            }
            item.push(dice.pick(LETTERS).into());
            item.push(dice.pick(LETTERS).into());
            Some(item)
        }
        _ => None,
    }
}

impl Figures {
    fn of(dice: &mut Dice, parts: &Parts, relations: Relations, machine: &Machine) -> Self {
        let cpu = part(&parts.cpus, relations.cpu());
        let gpu = part(&parts.gpus, relations.0[1]);
        // Marks are far below the numbers that a float no longer holds.
        let real = |mark: Option<i64>| mark.map(|mark| mark as f64);
        let multi = real(cpu.and_then(|cpu| cpu.multi));
        let price = price(dice, multi, machine);
        let adjusted = price.filter(|_| dice.number(1..=190) > 10);
        Self {
            price,
            adjusted: adjusted.map(|price| cents(price * dice.real(0.7, 1.05))),
            multi,
            single: real(cpu.and_then(|cpu| cpu.single)),
            gpu: real(gpu.and_then(|gpu| gpu.mark)),
            tdp: real(cpu.map(|cpu| cpu.tdp_w)),
        }
    }

    /// Out of 100.
    fn composite(&self) -> Option<f64> {
        let multi = self.multi? / 600.0;
        Some(0.4 * multi + 0.4 * self.single? / 50.0 + 0.2 * self.gpu.unwrap_or(0.0) / 250.0)
    }

    fn cells(self) -> Cells {
        let per = |price: Option<f64>, mark: Option<f64>| {
            price.zip(mark).map(|(price, mark)| price / mark).into()
        };
        vec![
            ("adjusted_price_usd", self.adjusted.into()),
            (
                "score_cpu_multi",
                self.multi.map(|mark| mark / 600.0).into(),
            ),
            (
                "score_cpu_single",
                self.single.map(|mark| mark / 50.0).into(),
            ),
            ("score_gpu", self.gpu.map(|mark| mark / 250.0).into()),
            ("score_composite", self.composite().into()),
            ("dollar_per_cpu_mark", per(self.price, self.multi)),
            ("dollar_per_single_mark", per(self.price, self.single)),
            ("perf_per_watt", per(self.multi, self.tdp)),
            ("dollar_per_cpu_mark_single", per(self.price, self.single)),
            (
                "dollar_per_cpu_mark_single_adjusted",
                per(self.adjusted, self.single),
            ),
            ("dollar_per_cpu_mark_multi", per(self.price, self.multi)),
            (
                "dollar_per_cpu_mark_multi_adjusted",
                per(self.adjusted, self.multi),
            ),
        ]
    }
}

/// None for one in twenty.
fn price(dice: &mut Dice, multi: Option<f64>, machine: &Machine) -> Option<f64> {
    // Gigabytes are few.
    let (ram, storage) = (machine.ram_gb as f64, machine.primary.0 as f64);
    let worth = 60.0 + multi.unwrap_or(5000.0) / 70.0 + ram * 2.5 + storage * 0.04;
    dice.maybe(95, |dice| cents(worth * dice.real(0.6, 1.5)))
}

fn cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

impl Papers {
    fn of(
        dice: &mut Dice,
        id: i64,
        created: DateTime<Utc>,
        title: &str,
        offer: &Offer,
        adjusted: Option<f64>,
    ) -> Self {
        let image = format!("https://images.example/listings/{id}/1.jpg");
        let raw = dice.maybe(60, |dice| raw(dice, id, created, title, offer, &image));
        let pictured = dice.percent(30);
        let attributes = dice.maybe(50, |dice| attributes(dice, pictured.then_some(&image)));
        let shown = raw.is_some() || pictured && attributes.is_some();
        Self {
            raw,
            attributes,
            other_urls: dice.maybe(30, |dice| other_urls(dice, id)),
            thumbnail: shown.then_some(image),
            valuation: offer.price.zip(adjusted).map(valuation),
            extraction: dice.maybe(60, |dice| {
                json!({ "parser": "jsonld", "confidence": dice.number(60..=99) }).to_string()
            }),
            missing: offer.partial.then(|| match offer.price {
                None => json!(["price_usd"]).to_string(),
                Some(_) => json!(["condition"]).to_string(),
            }),
            components: dice.maybe(20, |dice| {
                json!([dice.pick(words::COMPONENTS).1]).to_string()
            }),
        }
    }

    fn cells(self) -> Cells {
        vec![
            ("raw_listing_json", self.raw.into()),
            ("attributes_json", self.attributes.into()),
            ("other_urls", self.other_urls.into()),
            ("thumbnail_url", self.thumbnail.into()),
            ("valuation_breakdown_json", self.valuation.into()),
            ("extraction_metadata_json", self.extraction.into()),
            ("missing_fields", self.missing.into()),
            ("other_components", self.components.into()),
        ]
    }
}

/// Some 600 bytes as an importer keeps them.
fn raw(
    dice: &mut Dice,
    id: i64,
    created: DateTime<Utc>,
    title: &str,
    offer: &Offer,
    image: &str,
) -> String {
    let key = dice.pick(&[
        "image_url",
        "thumbnail_url",
        "imageUrl",
        "thumbnailUrl",
        "img_url",
    ]);
    let mut raw = json!({
        "title": title,
        "url": offer.url(id),
        "price": { "value": offer.price, "currency": "USD", "shipping": dice.number(0..=25) },
        "condition": offer.condition,
        "seller": { "name": offer.seller, "feedback": dice.number(10..=9999) },
        "location": "United States",
        "description": format!("{} {}", dice.pick(words::NOTES), dice.pick(words::NOTES)),
        "specifics": { "Warranty": "90 days", "Returns": "30 days", "Color": "Black" },
        "fetched_at": created.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    raw[key] = Json::from(image);
    raw.to_string()
}

fn attributes(dice: &mut Dice, image: Option<&String>) -> String {
    let mut attributes = json!({
        "wifi": dice.pick(&["Wi-Fi 5", "Wi-Fi 6", "Wi-Fi 6E"]),
        "bluetooth": dice.percent(80),
        "warranty_months": dice.pick(&[0, 3, 12]),
    });
    if let Some(image) = image {
        attributes["image_url"] = Json::from(image.as_str());
    }
    attributes.to_string()
}

fn other_urls(dice: &mut Dice, id: i64) -> String {
    let url = |label: &str, part: &str| json!({ "url": format!("https://{part}.example/{id}"), "label": label });
    let mut urls = vec![url("Review", "reviews")];
    if dice.percent(40) {
        urls.push(url("Data sheet", "sheets"));
    }
    Json::from(urls).to_string()
}

fn valuation((price, adjusted): (f64, f64)) -> String {
    json!({
        "listing_price": price,
        "adjusted_price": adjusted,
        "total_adjustment": cents(adjusted - price),
        "adjustments": [
            { "rule": "Memory", "amount": cents((adjusted - price) * 0.6) },
            { "rule": "Storage", "amount": cents((adjusted - price) * 0.4) },
        ],
    })
    .to_string()
}

impl Listing {
    /// None to three parts that have no table of their own.
    pub(super) fn components(&self, dice: &mut Dice) -> Vec<Cells> {
        let many = dice.number(0..=3);
        let component = |_| {
            let (kind, name) = dice.pick(words::COMPONENTS);
            vec![
                ("listing_id", self.id.into()),
                ("component_type", kind.into()),
                ("name", name.into()),
                ("quantity", dice.number(1..=2).into()),
                (
                    "adjustment_value_usd",
                    dice.maybe(70, |dice| cents(dice.real(-20.0, 60.0))).into(),
                ),
            ]
        };
        (0..many).map(component).collect()
    }

    /// None to two earlier valuations, 0.95 on average.
    pub(super) fn snapshots(&self, dice: &mut Dice) -> Vec<Cells> {
        let many = dice.weighted(&[30, 45, 25]);
        let snapshot = |_| {
            let then = dice.real(0.9, 1.1);
            let profile = self.relations.0[3];
            let score = self.figures.composite();
            vec![
                ("listing_id", self.id.into()),
                ("profile_id", profile.into()),
                ("score_composite", score.map(|score| score * then).into()),
                (
                    "price_usd",
                    self.figures.price.map(|price| cents(price * then)).into(),
                ),
                (
                    "adjusted_price_usd",
                    self.figures
                        .adjusted
                        .map(|price| cents(price * then))
                        .into(),
                ),
                ("explain_json", r#"{"reason":"price update"}"#.into()),
                ("created_at", dice.between(self.created, dice.now()).into()),
            ]
        };
        (0..many).map(snapshot).collect()
    }

    /// The row.
    pub(super) fn cells(self, dice: &mut Dice) -> Cells {
        let mut cells: Cells = vec![
            ("id", self.id.into()),
            ("title", self.title.into()),
            ("created_at", self.created.into()),
            ("updated_at", self.updated.into()),
            (
                "notes",
                dice.maybe(25, |dice| dice.pick(words::NOTES)).into(),
            ),
        ];
        cells.extend(self.relations.cells());
        cells.extend(self.machine.cells());
        cells.extend(self.offer.cells(self.id, self.created, self.updated));
        cells.extend(self.figures.cells());
        cells.extend(self.papers.cells());
        cells
    }
}
