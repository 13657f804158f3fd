//! The status of a monitor.

/// How a monitor stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Green: availability holds and no threshold is crossed.
    Healthy,
    /// Yellow: a warning threshold is crossed, or a probe other than availability fails.
    Degraded,
    /// Red: the monitor is down, or a critical threshold is crossed.
    Unhealthy,
    /// We cannot tell, through trouble of our own.
    Unknown,
    /// Switched off by its owner.
    Paused,
    /// In a maintenance window.
    Maintenance,
}

impl Status {
    /// Every status, best known first.
    pub const ALL: [Self; 6] =
        [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Unknown, Self::Paused, Self::Maintenance];

    /// The name in lower case, as in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
            Self::Paused => "paused",
            Self::Maintenance => "maintenance",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// A small number for stored formats; never changes.
    pub const fn code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Unhealthy => 2,
            Self::Unknown => 3,
            Self::Paused => 4,
            Self::Maintenance => 5,
        }
    }

    /// The status of that number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
