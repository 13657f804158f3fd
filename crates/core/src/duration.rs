//! Durations as people write them: `500ms`, `30s`, `5m`, `1h30m`, `2d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration that reads and prints as text such as `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// The text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: write a number with a unit, such as 500ms, 30s, 5m, 1h30m or 2d")]
pub struct ParseDurationError {
    text: String,
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl HumanDuration {
    /// From whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for HumanDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDurationError { text: text.chars().take(40).collect() };
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(error());
        }
        let mut millis: u64 = 0;
        let mut smallest = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u64 = rest[..digits].parse().map_err(|_| error())?;
            rest = &rest[digits..];
            let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let unit = &rest[..letters];
            let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?.1;
            // Units go from large to small and each at most once, so that `1s1h` is caught as a slip.
            if scale >= smallest {
                return Err(error());
            }
            smallest = scale;
            millis = number.checked_mul(scale).and_then(|part| millis.checked_add(part)).ok_or_else(error)?;
            rest = rest[letters..].trim_start();
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        // 90 s stays "90s" and 3600 s becomes "1h": whole multiples read best in the largest unit that fits exactly.
        if millis < 120_000 && millis.is_multiple_of(1000) && !millis.is_multiple_of(60_000) {
            return write!(f, "{}s", millis / 1000);
        }
        if millis == 60_000 {
            return f.write_str("60s");
        }
        for (unit, scale) in UNITS {
            if millis >= scale {
                write!(f, "{}{unit}", millis / scale)?;
                millis %= scale;
            }
        }
        Ok(())
    }
}

impl serde::Serialize for HumanDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for HumanDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "x-wise": "duration", "examples": ["500ms", "30s", "1h30m"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        for text in
            ["0s", "500ms", "1s", "30s", "60s", "90s", "5m", "1h", "1h30m", "2d", "1d2h3m4s5ms", "2m30s"]
        {
            assert_eq!(text.parse::<HumanDuration>().unwrap().to_string(), text);
        }
        assert_eq!("1h 30m".parse::<HumanDuration>().unwrap(), HumanDuration::from_secs(5400));
    }

    #[test]
    fn slips_are_named() {
        for text in [
            "",
            "5",
            "s",
            "5x",
            "-5s",
            "1s1h",
            "1s 1s",
            "1.5s",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            let error = text.parse::<HumanDuration>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
