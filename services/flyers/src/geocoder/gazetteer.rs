//! A geocoder without network: a table of places.

use crate::{
    geo::Point,
    geocoder::{GeocodeError, Geocoder, Lookup},
    search::fold,
};

/// Towns and quarters around Zurich. An address is where the last place that it names is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gazetteer;

impl Geocoder for Gazetteer {
    fn locate<'a>(&'a self, address: &'a str) -> Lookup<'a> {
        Box::pin(std::future::ready(
            find(address).ok_or(GeocodeError::NotFound),
        ))
    }
}

/// The place named last in an address wins (`Bahnhofstrasse 1, 8610 Uster` is in
/// Uster), the longer name where two end together (`Zürich Oerlikon`).
fn find(address: &str) -> Option<Point> {
    let words: String = fold(address)
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '-' {
                c
            } else {
                ' '
            }
        })
        .collect();
    let padded = format!(
        " {} ",
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    PLACES
        .iter()
        .filter_map(|place| {
            let name = format!(" {} ", fold(place.name));
            padded
                .rfind(&name)
                .map(|at| (at + name.len(), name.len(), place))
        })
        .max_by_key(|(end, length, _)| (*end, *length))
        .map(|(_, _, place)| place.point())
}

/// A place with a name and a postal code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) zip: u16,
    lat: f64,
    lng: f64,
}

impl Place {
    pub(crate) fn point(&self) -> Point {
        Point {
            lat: self.lat,
            lng: self.lng,
        }
    }
}

const fn place(name: &'static str, zip: u16, lat: f64, lng: f64) -> Place {
    Place {
        name,
        zip,
        lat,
        lng,
    }
}

/// Centres of towns, villages and city quarters, to about 200 m.
pub(crate) const PLACES: &[Place] = &[
    place("Zürich", 8001, 47.3769, 8.5417),
    place("Zürich Oerlikon", 8050, 47.4110, 8.5440),
    place("Zürich Altstetten", 8048, 47.3914, 8.4886),
    place("Zürich Wiedikon", 8003, 47.3710, 8.5190),
    place("Zürich Enge", 8002, 47.3640, 8.5310),
    place("Zürich Seefeld", 8008, 47.3560, 8.5560),
    place("Zürich Höngg", 8049, 47.4020, 8.4980),
    place("Zürich Wollishofen", 8038, 47.3450, 8.5310),
    place("Zürich Schwamendingen", 8051, 47.4050, 8.5730),
    place("Zürich Affoltern", 8046, 47.4210, 8.5120),
    place("Zürich West", 8005, 47.3890, 8.5170),
    place("Zürich Witikon", 8053, 47.3570, 8.5920),
    place("Winterthur", 8400, 47.4990, 8.7240),
    place("Uster", 8610, 47.3510, 8.7180),
    place("Dübendorf", 8600, 47.3970, 8.6180),
    place("Dietikon", 8953, 47.4060, 8.4000),
    place("Schlieren", 8952, 47.3970, 8.4470),
    place("Wädenswil", 8820, 47.2270, 8.6690),
    place("Horgen", 8810, 47.2600, 8.5980),
    place("Thalwil", 8800, 47.2920, 8.5640),
    place("Adliswil", 8134, 47.3100, 8.5250),
    place("Kilchberg", 8802, 47.3220, 8.5450),
    place("Küsnacht", 8700, 47.3180, 8.5830),
    place("Zollikon", 8702, 47.3400, 8.5760),
    place("Meilen", 8706, 47.2710, 8.6440),
    place("Stäfa", 8712, 47.2420, 8.7230),
    place("Männedorf", 8708, 47.2570, 8.6930),
    place("Rapperswil", 8640, 47.2270, 8.8180),
    place("Kloten", 8302, 47.4520, 8.5850),
    place("Bülach", 8180, 47.5220, 8.5410),
    place("Opfikon", 8152, 47.4320, 8.5760),
    place("Wallisellen", 8304, 47.4150, 8.5970),
    place("Regensdorf", 8105, 47.4340, 8.4690),
    place("Volketswil", 8604, 47.3900, 8.6900),
    place("Wetzikon", 8620, 47.3260, 8.7980),
    place("Hinwil", 8340, 47.3030, 8.8440),
    place("Rüti", 8630, 47.2570, 8.8550),
    place("Pfäffikon ZH", 8330, 47.3690, 8.7860),
    place("Illnau", 8308, 47.4110, 8.7210),
    place("Effretikon", 8307, 47.4270, 8.6870),
    place("Maur", 8124, 47.3400, 8.6690),
    place("Egg", 8132, 47.3010, 8.6910),
    place("Affoltern am Albis", 8910, 47.2770, 8.4510),
    place("Birmensdorf", 8903, 47.3550, 8.4410),
    place("Urdorf", 8902, 47.3850, 8.4260),
    place("Bremgarten", 5620, 47.3510, 8.3420),
    place("Baden", 5400, 47.4730, 8.3080),
    place("Wettingen", 5430, 47.4660, 8.3270),
    place("Brugg", 5200, 47.4810, 8.2080),
    place("Lenzburg", 5600, 47.3890, 8.1750),
    place("Aarau", 5000, 47.3920, 8.0440),
    place("Wohlen", 5610, 47.3520, 8.2790),
    place("Muri", 5630, 47.2740, 8.3400),
    place("Zug", 6300, 47.1660, 8.5160),
    place("Baar", 6340, 47.1960, 8.5290),
    place("Cham", 6330, 47.1820, 8.4630),
    place("Luzern", 6003, 47.0500, 8.3060),
    place("Einsiedeln", 8840, 47.1280, 8.7470),
    place("Lachen", 8853, 47.1920, 8.8540),
    place("Schwyz", 6430, 47.0210, 8.6530),
    place("Frauenfeld", 8500, 47.5570, 8.8980),
    place("Wil", 9500, 47.4620, 9.0450),
    place("Schaffhausen", 8200, 47.6960, 8.6350),
    place("Neuhausen", 8212, 47.6830, 8.6150),
    place("Andelfingen", 8450, 47.5950, 8.6790),
    place("Eglisau", 8193, 47.5750, 8.5210),
    place("Turbenthal", 8488, 47.4370, 8.8450),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(address: &str) -> Option<u16> {
        let point = find(address)?;
        PLACES
            .iter()
            .find(|place| place.point() == point)
            .map(|place| place.zip)
    }

    #[test]
    fn the_last_and_longest_name_wins() {
        assert_eq!(zip("Bahnhofstrasse 1, 8001 Zürich"), Some(8001));
        assert_eq!(zip("ZÜRICHSTRASSE 3, 8610 USTER"), Some(8610));
        assert_eq!(zip("Marktplatz 2, 8050 Zürich Oerlikon"), Some(8050));
        assert_eq!(zip("Zürich, Winterthur"), Some(8400));
    }

    #[test]
    fn part_of_a_word_is_not_a_place() {
        assert_eq!(zip("Wilerstrasse 4"), None);
        assert_eq!(zip("Atlantis"), None);
        assert_eq!(zip(""), None);
    }
}
