//! What a series belongs to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::metric::MetricSpec;
use crate::monitor_id::MonitorId;

/// What a series belongs to: a monitor, or something else that is measured over time, such as this server, a log stream
/// or a scraped application. Its text is its key in every store: the monitor's id, or `kind:name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceId {
    /// A monitor.
    Monitor(MonitorId),
    /// Something that is no monitor.
    Named(SourceName),
}

impl SourceId {
    /// The monitor, if it is one.
    pub fn monitor(&self) -> Option<MonitorId> {
        match self {
            Self::Monitor(id) => Some(*id),
            Self::Named(_) => None,
        }
    }

    /// The name, if it is no monitor.
    pub fn named(&self) -> Option<&SourceName> {
        match self {
            Self::Monitor(_) => None,
            Self::Named(name) => Some(name),
        }
    }
}

impl From<MonitorId> for SourceId {
    fn from(id: MonitorId) -> Self {
        Self::Monitor(id)
    }
}

impl From<SourceName> for SourceId {
    fn from(name: SourceName) -> Self {
        Self::Named(name)
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monitor(id) => id.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}

impl FromStr for SourceId {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The id of a monitor has no colon.
        if text.contains(':') {
            return text.parse().map(Self::Named);
        }
        text.parse().map(Self::Monitor).map_err(|_| InvalidSource(text.to_owned()))
    }
}

/// A source that is no monitor, as `kind:name`: `server:default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

/// A kind of source that is no monitor, and what is measured of it: titles, units and help of its metrics come from here.
#[derive(Debug)]
pub struct SourceKind {
    /// What stands before the colon of its sources.
    pub kind: &'static str,
    /// For people.
    pub title: &'static str,
    /// Its metrics.
    pub metrics: &'static [&'static MetricSpec],
}

impl SourceKind {
    /// A metric by its dotted name.
    pub fn metric(&self, name: &str) -> Option<&'static MetricSpec> {
        self.metrics.iter().copied().find(|metric| metric.name == name)
    }
}

/// A text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no source: it takes the id of a monitor, or kind:name with a kind of lower-case letters, digits and `_`"
)]
pub struct InvalidSource(String);

impl SourceName {
    /// Bytes of a name at most, kind and colon included: it is part of keys.
    pub const MAX_BYTES: usize = 256;

    /// A source of a kind.
    ///
    /// # Errors
    /// The kind has other characters than lower-case letters, digits and `_`, or the name is empty, too long, or has
    /// control characters.
    pub fn new(kind: &str, name: &str) -> Result<Self, InvalidSource> {
        let text = format!("{kind}:{name}");
        let is_kind = !kind.is_empty()
            && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let is_name = !name.is_empty() && !name.contains(char::is_control);
        if is_kind && is_name && text.len() <= Self::MAX_BYTES {
            Ok(Self(text.into()))
        } else {
            Err(InvalidSource(text))
        }
    }

    /// What kind of thing it is, such as `server`.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or("", |(kind, _)| kind)
    }

    /// Which one of its kind.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }

    /// `kind:name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceName {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once(':').ok_or_else(|| InvalidSource(text.to_owned()))?;
        Self::new(kind, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_source_leads_back_to_it() {
        let server = SourceName::new("server", "größer: a/b").unwrap();
        assert_eq!((server.kind(), server.name()), ("server", "größer: a/b"));
        for source in [SourceId::from(MonitorId::generate()), SourceId::from(server)] {
            assert_eq!(source.to_string().parse(), Ok(source));
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        for text in ["", "server", ":a", "server:", "Server:a", "a b:c", "a/b:c", "server:a\nb"] {
            assert!(text.parse::<SourceId>().is_err(), "{text:?}");
        }
        assert!(SourceName::new("server", &"x".repeat(SourceName::MAX_BYTES)).is_err());
        // One of the other forms that a UUID may have.
        let odd = format!("urn:uuid:{}", MonitorId::generate());
        assert_eq!(odd.parse::<SourceId>().unwrap().monitor(), None);
    }
}
