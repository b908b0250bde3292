//! The invented reference data: processors, graphics, ports, memory, storage, and what listings
//! are valued by.

use service_kit::seed::Dice;

pub(super) const PROFILES: [(&str, &str); 5] = [
    (
        "Balanced",
        r#"{"cpu_multi":0.4,"cpu_single":0.4,"gpu":0.2}"#,
    ),
    ("Server", r#"{"cpu_multi":0.8,"cpu_single":0.2,"gpu":0.0}"#),
    ("Gaming", r#"{"cpu_multi":0.2,"cpu_single":0.3,"gpu":0.5}"#),
    ("Office", r#"{"cpu_multi":0.2,"cpu_single":0.7,"gpu":0.1}"#),
    ("Value", r#"{"cpu_multi":0.5,"cpu_single":0.5,"gpu":0.0}"#),
];
pub(super) const RULESETS: [(&str, &str); 3] = [
    ("Standard valuation", "2.1.0"),
    ("Refurbished", "1.4.0"),
    ("Enterprise lots", "1.0.2"),
];
/// What the rule groups weigh, in every profile.
pub(super) const GROUP_WEIGHTS: &str = r#"{"memory":1.0,"storage":1.0,"condition":0.8}"#;

pub(super) struct Cpu {
    pub(super) name: String,
    /// As it stands in titles.
    pub(super) short: String,
    pub(super) manufacturer: &'static str,
    pub(super) socket: &'static str,
    pub(super) cores: i64,
    pub(super) threads: i64,
    pub(super) tdp_w: i64,
    pub(super) igpu: Option<&'static str>,
    pub(super) multi: Option<i64>,
    pub(super) single: Option<i64>,
    pub(super) igpu_mark: Option<i64>,
    pub(super) year: i64,
}

pub(super) struct Gpu {
    pub(super) name: String,
    pub(super) manufacturer: &'static str,
    pub(super) mark: Option<i64>,
    pub(super) metal: Option<i64>,
}

pub(super) struct Port {
    pub(super) profile: i64,
    pub(super) kind: &'static str,
    pub(super) count: i64,
    pub(super) notes: Option<&'static str>,
}

pub(super) struct Ram {
    pub(super) generation: &'static str,
    pub(super) speed: i64,
    pub(super) modules: i64,
    pub(super) each_gb: i64,
}

impl Ram {
    pub(super) fn total_gb(&self) -> i64 {
        self.modules * self.each_gb
    }
}

pub(super) struct Storage {
    pub(super) medium: &'static str,
    pub(super) interface: &'static str,
    pub(super) form: &'static str,
    pub(super) tier: &'static str,
    pub(super) gb: i64,
}

/// All parts. The id of one is its place in the list plus 1.
pub(super) struct Parts {
    pub(super) cpus: Vec<Cpu>,
    pub(super) gpus: Vec<Gpu>,
    pub(super) ports: Vec<Port>,
    pub(super) rams: Vec<Ram>,
    pub(super) storages: Vec<Storage>,
}

impl Parts {
    /// Profiles of ports.
    pub(super) const PORTS_PROFILES: i64 = 40;

    pub(super) fn make(dice: &mut Dice) -> Self {
        Self {
            cpus: cpus(dice),
            gpus: gpus(dice),
            ports: (1..=Self::PORTS_PROFILES)
                .flat_map(|profile| ports(dice, profile))
                .collect(),
            rams: rams(),
            storages: storages(),
        }
    }
}

/// What sets the processors of one name apart from the next.
struct Model {
    name: String,
    short: String,
    manufacturer: &'static str,
    socket: &'static str,
    cores: i64,
    tdp_w: i64,
    igpu: Option<&'static str>,
    /// The mark of one core, before chance.
    single: i64,
    year: i64,
}

fn cpus(dice: &mut Dice) -> Vec<Cpu> {
    let mut models = intel();
    models.extend(amd());
    models.extend(small());
    models.into_iter().map(|model| cpu(dice, model)).collect()
}

/// One in twenty has not been measured.
fn cpu(dice: &mut Dice, model: Model) -> Cpu {
    let single = model.single * dice.number(96..=104) / 100;
    let multi = single * model.cores * dice.number(70..=80) / 100;
    let measured = dice.percent(95);
    Cpu {
        threads: model.cores * 2,
        multi: measured.then_some(multi),
        single: measured.then_some(single),
        igpu_mark: model.igpu.map(|_| dice.number(600..=4500)),
        name: model.name,
        short: model.short,
        manufacturer: model.manufacturer,
        socket: model.socket,
        cores: model.cores,
        tdp_w: model.tdp_w,
        igpu: model.igpu,
        year: model.year,
    }
}

/// 11 generations of 5 processors, each as a thrifty one too.
fn intel() -> Vec<Model> {
    const TIERS: [(&str, &str, i64); 5] = [
        ("i3", "100", 0),
        ("i5", "400", 1),
        ("i5", "500", 1),
        ("i7", "700", 2),
        ("i9", "900", 3),
    ];
    let mut models = Vec::new();
    for generation in 4..=14 {
        for (tier, number, rank) in TIERS {
            for (suffix, tdp_w) in [("", 65), ("T", 35)] {
                let short = format!("{tier}-{generation}{number}{suffix}");
                models.push(Model {
                    name: format!("Intel Core {short}"),
                    short,
                    manufacturer: "Intel",
                    socket: intel_socket(generation),
                    cores: intel_cores(generation, rank),
                    tdp_w,
                    igpu: Some(intel_igpu(generation)),
                    single: 1500 + (generation - 4) * 220 + rank * 150 - (65 - tdp_w) * 5,
                    year: 2009 + generation,
                });
            }
        }
    }
    models
}

fn intel_socket(generation: i64) -> &'static str {
    match generation {
        ..=5 => "LGA1150",
        6..=9 => "LGA1151",
        10..=11 => "LGA1200",
        _ => "LGA1700",
    }
}

fn intel_igpu(generation: i64) -> &'static str {
    match generation {
        ..=7 => "Intel HD Graphics 630",
        8..=10 => "Intel UHD Graphics 630",
        _ => "Intel UHD Graphics 770",
    }
}

fn intel_cores(generation: i64, rank: i64) -> i64 {
    match generation {
        ..=7 => 2 + 2 * rank.min(1),
        8..=11 => 4 + 2 * rank.min(2),
        _ => 4 + 4 * rank,
    }
}

/// 7 series of 4 processors, each in three kinds.
fn amd() -> Vec<Model> {
    const TIERS: [(i64, &str); 4] = [(3, "300"), (5, "600"), (7, "700"), (9, "900")];
    const KINDS: [(&str, i64, Option<&str>); 3] = [
        ("", 105, None),
        ("G", 65, Some("AMD Radeon Vega 8")),
        ("GE", 35, Some("AMD Radeon Vega 8")),
    ];
    let mut models = Vec::new();
    for (series, age) in [2, 3, 4, 5, 7, 8, 9].into_iter().zip(0..) {
        for (tier, number) in TIERS {
            for (suffix, tdp_w, igpu) in KINDS {
                let short = format!("Ryzen {tier} {series}{number}{suffix}");
                models.push(Model {
                    name: format!("AMD {short}"),
                    short,
                    manufacturer: "AMD",
                    socket: if series < 7 { "AM4" } else { "AM5" },
                    cores: tier + tier / 3,
                    tdp_w,
                    igpu,
                    single: 2100 + age * 300 + tier * 40 + tdp_w,
                    year: 2018 + age,
                });
            }
        }
    }
    models
}

/// Six that are soldered.
fn small() -> Vec<Model> {
    let names = [
        ("N95", 15),
        ("N97", 12),
        ("N100", 6),
        ("N150", 6),
        ("N200", 6),
        ("N305", 15),
    ];
    let model = |(short, tdp_w): (&str, i64)| Model {
        name: format!("Intel Processor {short}"),
        short: short.to_owned(),
        manufacturer: "Intel",
        socket: "BGA1264",
        cores: if short == "N305" { 8 } else { 4 },
        tdp_w,
        igpu: Some("Intel UHD Graphics 24EU"),
        single: 1900,
        year: 2023,
    };
    names.into_iter().map(model).collect()
}

/// Eight families of five. One in ten has not been measured.
fn gpus(dice: &mut Dice) -> Vec<Gpu> {
    const FAMILIES: [(&str, &str, [&str; 5]); 8] = [
        (
            "NVIDIA",
            "GeForce GTX",
            ["1050 Ti", "1060", "1070", "1650", "1660 Super"],
        ),
        (
            "NVIDIA",
            "GeForce RTX",
            ["2060", "3050", "3060", "4060", "4070"],
        ),
        (
            "NVIDIA",
            "Quadro",
            ["P400", "P620", "P1000", "P2200", "T1000"],
        ),
        (
            "NVIDIA",
            "RTX",
            ["A400", "A1000", "A2000", "A4000", "A5000"],
        ),
        ("AMD", "Radeon RX", ["550", "580", "6400", "6600", "7600"]),
        (
            "AMD",
            "Radeon Pro",
            ["WX 2100", "WX 3200", "W5500", "W6400", "W6600"],
        ),
        ("Intel", "Arc", ["A310", "A380", "A580", "A750", "B580"]),
        ("Apple", "GPU", ["M1", "M1 Pro", "M2", "M2 Pro", "M4"]),
    ];
    let mut gpus = Vec::new();
    for (manufacturer, family, models) in FAMILIES {
        for (model, strength) in models.into_iter().zip(1..) {
            let mark = strength * 3600 + dice.number(0..=2500);
            gpus.push(Gpu {
                name: format!("{manufacturer} {family} {model}"),
                manufacturer,
                mark: dice.maybe(90, |_| mark),
                metal: (manufacturer == "Apple").then_some(mark * 5),
            });
        }
    }
    gpus
}

/// Three to five of different kinds.
fn ports(dice: &mut Dice, profile: i64) -> Vec<Port> {
    const KINDS: [(&str, Option<&str>); 8] = [
        ("usb_a", Some("USB 3.2 Gen 1")),
        ("usb_c", Some("USB 3.2 Gen 2")),
        ("hdmi", Some("HDMI 2.0")),
        ("displayport", Some("DisplayPort 1.4")),
        ("rj45", Some("1 Gbit/s")),
        ("thunderbolt", Some("Thunderbolt 4")),
        ("audio", None),
        ("vga", None),
    ];
    let mut kinds = KINDS;
    dice.shuffle(&mut kinds);
    let many = dice.number(3..=5);
    let mut ports = Vec::new();
    for ((kind, notes), _) in kinds.into_iter().zip(0..many) {
        ports.push(Port {
            profile,
            kind,
            count: dice.number(1..=4),
            notes,
        });
    }
    ports
}

fn rams() -> Vec<Ram> {
    const KINDS: [(&str, i64); 8] = [
        ("ddr3", 1600),
        ("ddr4", 2400),
        ("ddr4", 2666),
        ("ddr4", 3200),
        ("ddr5", 4800),
        ("ddr5", 5600),
        ("lpddr4x", 4266),
        ("lpddr5", 6400),
    ];
    let sizes = [(1, 8), (2, 8), (1, 16), (2, 16), (2, 32)];
    let of_kind = |(generation, speed)| {
        sizes.map(|(modules, each_gb)| Ram {
            generation,
            speed,
            modules,
            each_gb,
        })
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

fn storages() -> Vec<Storage> {
    const KINDS: [(&str, &str, &str, &str); 10] = [
        ("nvme", "PCIe 3.0 x4", "M.2 2280", "mainstream"),
        ("nvme", "PCIe 4.0 x4", "M.2 2280", "performance"),
        ("nvme", "PCIe 3.0 x4", "M.2 2242", "value"),
        ("sata_ssd", "SATA III", "2.5 inch", "mainstream"),
        ("sata_ssd", "SATA III", "M.2 2280", "value"),
        ("hdd", "SATA III", "3.5 inch", "bulk"),
        ("hdd", "SATA III", "2.5 inch", "bulk"),
        ("hybrid", "SATA III", "2.5 inch", "value"),
        ("emmc", "eMMC 5.1", "soldered", "entry"),
        ("ufs", "UFS 3.1", "soldered", "mainstream"),
    ];
    let of_kind = |(medium, interface, form, tier)| {
        [64, 128, 256, 512, 1024, 2048].map(|gb| Storage {
            medium,
            interface,
            form,
            tier,
            gb,
        })
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// The part with this id.
pub(super) fn part<T>(parts: &[T], id: Option<i64>) -> Option<&T> {
    parts.get(usize::try_from(id? - 1).ok()?)
}
