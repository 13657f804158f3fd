//! The identity of a monitor.

use uuid::Uuid;

/// The identity of a monitor, which outlives renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct MonitorId(pub Uuid);

impl MonitorId {
    /// A new id; ids sort by the time they were made.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of a monitor that is kept in a file: the same name gives the same id in every store.
    pub fn from_file_name(name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("wise-monitoring:monitor:{name}").as_bytes()))
    }

    /// A number that spreads monitors evenly and never changes.
    pub fn spread(self) -> u64 {
        // FNV-1a: the ids' own bits are times, which do not spread.
        self.0.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

impl std::fmt::Display for MonitorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for MonitorId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
