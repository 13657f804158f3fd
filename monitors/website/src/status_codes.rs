//! Status codes and ranges of them: `200`, `200-299`, `2xx`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A range of status codes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// The codes that mean success.
    pub(crate) const SUCCESS: Self = Self { first: 200, last: 299 };

    pub(crate) fn contains(self, code: u16) -> bool {
        (self.first..=self.last).contains(&code)
    }
}

impl FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || {
            format!(
                "`{}` is no status code from 100 to 599, no range such as 200-299 and no 2xx",
                text.escape_debug()
            )
        };
        let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
        let (first, last) = if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class)).ok_or_else(error)?;
            (class * 100, class * 100 + 99)
        } else if let Some((first, last)) = text.split_once('-') {
            (code(first).ok_or_else(error)?, code(last).ok_or_else(error)?)
        } else {
            let code = code(text).ok_or_else(error)?;
            (code, code)
        };
        if first > last { Err(error()) } else { Ok(Self { first, last }) }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl<'de> serde::Deserialize<'de> for StatusRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for StatusRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for StatusRange {
    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "examples": ["200", "200-299", "3xx"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranges() {
        let range = |text: &str| text.parse::<StatusRange>();
        assert!(range("200").unwrap().contains(200) && !range("200").unwrap().contains(201));
        assert!(range("2xx").unwrap().contains(299) && range("200-204").unwrap().contains(204));
        for wrong in ["", "20", "600", "299-200", "6xx", "xx", "200-", "abc"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
