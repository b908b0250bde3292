//! How far "near me" reaches when the request does not say.

use service_kit::config::ConfigError;

/// Kilometres, as the domain papers have it.
const USUAL_KM: f64 = 5.0;
/// The widest circle that a request may ask for, in kilometres.
pub(super) const LARGEST_KM: f64 = 50.0;

/// The radius of "near me" unless the request names one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DefaultRadius(f64);

impl Default for DefaultRadius {
    fn default() -> Self {
        Self(USUAL_KM)
    }
}

impl DefaultRadius {
    /// `NEAR_ME_RADIUS_KM`: kilometres, 5 unless told otherwise.
    ///
    /// # Errors
    /// It is no number above 0 and at most 50.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        const VARIABLE: &str = "NEAR_ME_RADIUS_KM";
        let Some(text) = lookup(VARIABLE).filter(|text| !text.trim().is_empty()) else {
            return Ok(Self::default());
        };
        match text.trim().parse::<f64>() {
            Ok(km) if km > 0.0 && km <= LARGEST_KM => Ok(Self(km)),
            _ => Err(ConfigError {
                variable: VARIABLE,
                problem: format!("`{text}` is not a radius"),
                remedy: format!("give kilometres above 0 and at most {LARGEST_KM}"),
            }),
        }
    }

    /// The radius in kilometres.
    pub fn km(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: Option<&str>) -> Result<DefaultRadius, ConfigError> {
        DefaultRadius::from_env(|_| text.map(str::to_owned))
    }

    #[test]
    fn kilometres_are_read_and_five_is_usual() {
        assert_eq!(with(None).unwrap().km(), 5.0);
        assert_eq!(with(Some(" ")).unwrap().km(), 5.0);
        assert_eq!(with(Some("12.5")).unwrap().km(), 12.5);
    }

    #[test]
    fn what_is_no_radius_is_refused_by_name() {
        for text in ["0", "-1", "50.1", "NaN", "inf", "five"] {
            let error = with(Some(text)).unwrap_err().to_string();
            assert!(error.starts_with("NEAR_ME_RADIUS_KM"), "{error}");
            assert!(error.contains("at most 50"), "{error}");
        }
    }
}
