//! Distances on the globe.

use serde::{Deserialize, Serialize};

/// Mean radius of the Earth in kilometres, as the domain papers have it.
pub const EARTH_KM: f64 = 6371.0;

/// A place: degrees north and east.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Latitude, −90 to 90.
    pub lat: f64,
    /// Longitude, −180 to 180.
    pub lng: f64,
}

/// The smallest box of degrees that holds a circle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Latitudes from and to.
    pub lat: (f64, f64),
    /// Longitudes from and to; two ranges when the circle crosses the 180° line. The
    /// second is the same as the first when it does not.
    pub lng: [(f64, f64); 2],
}

impl Point {
    /// A place, if these are degrees.
    pub fn new(lat: f64, lng: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lng))
            .then_some(Self { lat, lng })
    }

    /// Kilometres to another place along the surface (haversine).
    pub fn distance_km(self, other: Self) -> f64 {
        2.0 * EARTH_KM * self.haversine(other).sqrt().min(1.0).asin()
    }

    /// sin² of half the angle between two places: grows with the distance and costs no
    /// inverse function. The feed sorts by it.
    fn haversine(self, other: Self) -> f64 {
        let half_lat = ((other.lat - self.lat) / 2.0).to_radians().sin();
        let half_lng = ((other.lng - self.lng) / 2.0).to_radians().sin();
        let narrowing = self.lat.to_radians().cos() * other.lat.to_radians().cos();
        (half_lat * half_lat + narrowing * half_lng * half_lng).clamp(0.0, 1.0)
    }

    /// The box around a circle. Near a pole every longitude is in it.
    pub fn bounds(self, radius_km: f64) -> Bounds {
        // A little more than the circle, so that rounding never cuts off its edge.
        let angle = (radius_km / EARTH_KM).to_degrees() * (1.0 + 1e-9) + 1e-9;
        let lat = ((self.lat - angle).max(-90.0), (self.lat + angle).min(90.0));
        let everywhere = Bounds {
            lat,
            lng: [(-180.0, 180.0); 2],
        };
        if self.lat.abs() + angle >= 90.0 {
            return everywhere;
        }
        // The circle is widest not at its centre's latitude but nearer to the pole.
        let ratio = angle.to_radians().sin() / self.lat.to_radians().cos();
        if ratio >= 1.0 {
            return everywhere;
        }
        let wide = ratio.asin().to_degrees() * (1.0 + 1e-9) + 1e-9;
        let (west, east) = (self.lng - wide, self.lng + wide);
        let lng = if west < -180.0 {
            [(-180.0, east), (west + 360.0, 180.0)]
        } else if east > 180.0 {
            [(west, 180.0), (-180.0, east - 360.0)]
        } else {
            [(west, east); 2]
        };
        Bounds { lat, lng }
    }
}

impl Bounds {
    /// Whether a place is in the box.
    pub fn contains(&self, point: Point) -> bool {
        let within = |(from, to): (f64, f64), value: f64| from <= value && value <= to;
        within(self.lat, point.lat) && self.lng.iter().any(|range| within(*range, point.lng))
    }
}

/// The haversine of a distance: what [`Point::distance_km`] undoes.
pub fn haversine_of_km(km: f64) -> f64 {
    let half = (km / (2.0 * EARTH_KM)).min(std::f64::consts::FRAC_PI_2);
    half.sin() * half.sin()
}

/// Kilometres with two decimals, as answers show them.
pub fn shown_km(km: f64) -> f64 {
    (km * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::PI;

    fn point(lat: f64, lng: f64) -> Point {
        Point::new(lat, lng).unwrap()
    }

    /// The point at a bearing and distance, by the spherical law.
    fn travel(from: Point, bearing: f64, km: f64) -> Point {
        let (lat, angle) = (from.lat.to_radians(), km / EARTH_KM);
        let to = (lat.sin() * angle.cos() + lat.cos() * angle.sin() * bearing.cos()).asin();
        let turn =
            (bearing.sin() * angle.sin() * lat.cos()).atan2(angle.cos() - lat.sin() * to.sin());
        let lng = (from.lng + turn.to_degrees() + 540.0).rem_euclid(360.0) - 180.0;
        point(to.to_degrees().clamp(-90.0, 90.0), lng)
    }

    #[test]
    fn known_distances() {
        let zurich = point(47.3769, 8.5417);
        let bern = point(46.948, 7.4474);
        assert!((zurich.distance_km(bern) - 95.5).abs() < 1.0);
        assert!(
            (point(90.0, 0.0).distance_km(point(90.0, 137.0))) < 1e-6,
            "one pole"
        );
        assert!(
            (point(0.0, 180.0).distance_km(point(0.0, -180.0))) < 1e-6,
            "one meridian"
        );
        assert!((point(90.0, 0.0).distance_km(point(-90.0, 0.0)) - PI * EARTH_KM).abs() < 1e-6);
        let over_the_line = point(0.0, 179.9).distance_km(point(0.0, -179.9));
        assert!((over_the_line - 22.24).abs() < 0.01, "{over_the_line}");
    }

    prop_compose! {
        fn anywhere()(lat in -90.0..=90.0_f64, lng in -180.0..=180.0_f64) -> Point {
            Point { lat, lng }
        }
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_at_most_half_way_round(a in anywhere(), b in anywhere()) {
            let there = a.distance_km(b);
            prop_assert!((there - b.distance_km(a)).abs() < 1e-6);
            prop_assert!((0.0..=PI * EARTH_KM + 1e-6).contains(&there));
        }

        #[test]
        fn antipodes_are_half_way_round(a in anywhere()) {
            let lng = if a.lng > 0.0 { a.lng - 180.0 } else { a.lng + 180.0 };
            let far = a.distance_km(Point { lat: -a.lat, lng });
            // asin is flat there: a rounding error of 1e-16 shows as 1e-8 of a turn.
            prop_assert!((far - PI * EARTH_KM).abs() < 0.001, "{}", far);
        }

        #[test]
        fn the_box_holds_the_whole_circle(
            a in anywhere(), bearing in 0.0..(2.0 * PI), part in 0.0..=1.0_f64, radius in 0.01..500.0_f64,
        ) {
            let b = travel(a, bearing, radius * part);
            if a.distance_km(b) <= radius {
                prop_assert!(a.bounds(radius).contains(b), "{:?} {:?}", b, a.bounds(radius));
            }
        }

        #[test]
        fn the_haversine_of_a_distance_sorts_like_the_distance(a in 0.0..20_000.0_f64, b in 0.0..20_000.0_f64) {
            prop_assume!((a - b).abs() > 1e-3);
            prop_assert_eq!(a < b, haversine_of_km(a) < haversine_of_km(b));
        }
    }
}
