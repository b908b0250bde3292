//! Words for invented users, computers and collections.

/// First names.
pub(super) const FIRST: &[&str] = &[
    "Ada", "Amir", "Ana", "Ben", "Bea", "Carla", "Chen", "Dana", "Diego", "Elif", "Emma", "Felix",
    "Fatima", "Georg", "Hana", "Hugo", "Ines", "Ivan", "Jana", "Jonas", "Kaito", "Karin", "Lea",
    "Leo", "Luca", "Maja", "Marco", "Mila", "Nils", "Noor", "Olga", "Omar", "Paula", "Priya",
    "Rosa", "Samuel", "Sofia", "Tariq", "Tom", "Yara",
];

/// Last names.
pub(super) const LAST: &[&str] = &[
    "Abbott", "Ahmed", "Baker", "Bauer", "Costa", "Dubois", "Fischer", "Garcia", "Hansen",
    "Hughes", "Ito", "Jensen", "Keller", "Kim", "Kowalski", "Larsen", "Li", "Meier", "Miller",
    "Moreau", "Nguyen", "Novak", "Okafor", "Patel", "Petrov", "Rossi", "Sato", "Silva", "Smith",
    "Weber",
];

/// Makers of computers with their series, those with most listings first.
pub(super) const MAKERS: &[(&str, &[&str])] = &[
    ("Dell", &["OptiPlex", "Precision", "XPS", "Latitude"]),
    (
        "Lenovo",
        &["ThinkCentre", "ThinkStation", "IdeaCentre", "ThinkPad"],
    ),
    ("HP", &["EliteDesk", "ProDesk", "Z2", "EliteBook"]),
    ("ASUS", &["ExpertCenter", "NUC", "ROG Strix"]),
    ("Acer", &["Veriton", "Aspire", "Predator"]),
    ("Apple", &["Mac mini", "Mac Studio", "iMac"]),
    ("MSI", &["Cubi", "Trident", "PRO DP"]),
    ("Fujitsu", &["Esprimo", "Celsius"]),
    ("Intel", &["NUC Pro", "NUC Extreme"]),
    ("Minisforum", &["Venus", "EliteMini"]),
    ("Beelink", &["SER", "EQ", "GTR"]),
    ("GMKtec", &["NucBox", "EVO"]),
];

/// Shares of the makers in the listings, after Zipf.
pub(super) const MAKER_WEIGHTS: &[i64] = &[300, 150, 100, 75, 60, 50, 43, 38, 33, 30, 27, 25];

/// Shapes of computers.
pub(super) const FORM_FACTORS: &[&str] = &[
    "Desktop",
    "SFF",
    "Micro",
    "Mini PC",
    "Tower",
    "Laptop",
    "All-in-One",
    "Workstation",
];

/// Shares of the shapes.
pub(super) const FORM_FACTOR_WEIGHTS: &[i64] = &[22, 20, 18, 16, 10, 8, 4, 2];

/// Operating systems that come along.
pub(super) const LICENSES: &[&str] = &[
    "Windows 11 Pro",
    "Windows 10 Pro",
    "Windows 11 Home",
    "Linux",
];

/// Sellers, with a number behind.
pub(super) const SELLERS: &[&str] = &[
    "refurb-world",
    "officeleftovers",
    "pc_outlet",
    "techloop",
    "secondbyte",
    "greenit",
    "desk2home",
    "leasing-returns",
];

/// What sellers write.
pub(super) const NOTES: &[&str] = &[
    "Tested and working, small scratches on the lid.",
    "Comes from an office that moved; wiped with a certificate.",
    "New thermal paste, quiet fan.",
    "No power supply, standard 65 W plug.",
    "Fresh installation, ready to use.",
    "Fan audible under load, otherwise fine.",
    "Box opened, never used.",
    "Upgraded memory, second slot is free.",
];

/// Kinds of components.
pub(super) const COMPONENTS: &[(&str, &str)] = &[
    ("wifi", "Intel AX210 Wi-Fi 6E"),
    ("keyboard", "USB keyboard and mouse"),
    ("psu", "240 W power supply"),
    ("os_license", "Windows 11 Pro"),
    ("mount", "VESA mount"),
    ("optical", "DVD writer"),
    ("nic", "2.5 Gbit network card"),
    ("hdd", "1 TB hard disk"),
];

/// What collections are for.
pub(super) const PURPOSES: &[&str] = &[
    "Homelab",
    "Office",
    "Gaming",
    "Media center",
    "Proxmox",
    "NAS",
    "Student",
    "Video editing",
    "Firewall",
    "Kids",
    "Workshop",
    "Kubernetes",
    "Backup",
    "CAD",
    "Living room",
    "Büro",
    "Café",
    "Travel",
];

/// What they are.
pub(super) const COLLECTIONS: &[&str] = &[
    "shortlist",
    "candidates",
    "deals under 300",
    "deals under 500",
    "upgrades",
    "finds",
    "wish list",
    "comparison",
    "Black Friday",
    "nodes",
    "watch list",
    "ideas",
    "favorites",
];

/// Sentences about collections.
pub(super) const DESCRIPTIONS: &[&str] = &[
    "Everything that draws less than 35 W.",
    "Sorted by dollars per mark.",
    "For the rack in the basement, three of a kind if possible.",
    "Only sellers who ship from here.",
    "Needs two NVMe slots and at least 32 GB.",
    "Prices checked every Sunday.",
    "The list we decide from at the end of the month.",
    "Quiet machines that fit behind a screen.",
    "Too good to forget, too dear to buy now.",
    "Suggestions are welcome.",
];

/// Notes on single items.
pub(super) const ITEM_NOTES: &[&str] = &[
    "Ask for a better price.",
    "Second M.2 slot?",
    "Best value so far.",
    "Only if the other one is gone.",
    "Power draw looks high.",
    "Seller answered, still there.",
];

/// What users write to each other.
pub(super) const MESSAGES: &[&str] = &[
    "Look at this one!",
    "Is that what you were looking for?",
    "Cheaper than the one from last week.",
    "For your homelab.",
    "Same as mine, I am happy with it.",
    "Worth it at that price?",
];
