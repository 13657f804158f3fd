//! Thresholds with hysteresis.

/// Which side of a threshold is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// High values are bad, as with latency.
    Above,
    /// Low values are bad, as with days to expiry.
    Below,
}

/// How far over a threshold a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Within bounds.
    Fine,
    /// Over the warning value.
    Warning,
    /// Over the critical value.
    Critical,
}

impl Severity {
    /// The name in lower case, as in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The bounds of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Which side is bad.
    pub direction: Direction,
    /// Where *degraded* begins.
    pub warning: Option<f64>,
    /// Where *unhealthy* begins.
    pub critical: Option<f64>,
    /// Share of a bound by which a reading must come back before the bound is clear again (0.1 is 10 %).
    pub hysteresis: f64,
    /// Readings in a row that must cross a bound before it counts.
    pub checks: u32,
}

impl Threshold {
    /// High values are bad: beyond `warning` degraded, beyond `critical` unhealthy, at the first reading, cleared 10 %
    /// below.
    pub const fn above(warning: Option<f64>, critical: Option<f64>) -> Self {
        Self { direction: Direction::Above, warning, critical, hysteresis: 0.1, checks: 1 }
    }

    /// Low values are bad.
    pub const fn below(warning: Option<f64>, critical: Option<f64>) -> Self {
        Self { direction: Direction::Below, warning, critical, hysteresis: 0.1, checks: 1 }
    }

    /// Sets the share of a bound by which a reading must come back.
    pub const fn hysteresis(mut self, share: f64) -> Self {
        self.hysteresis = share;
        self
    }

    /// Sets how many readings in a row must cross a bound before it counts.
    pub const fn checks(mut self, checks: u32) -> Self {
        self.checks = checks;
        self
    }

    /// Where a reading lies, given where the last ones lay: a bound once crossed is left only past its margin.
    pub fn classify(&self, value: f64, current: Severity) -> Severity {
        if self.beyond(value, self.critical, current >= Severity::Critical) {
            Severity::Critical
        } else if self.beyond(value, self.warning, current >= Severity::Warning) {
            Severity::Warning
        } else {
            Severity::Fine
        }
    }

    fn beyond(&self, value: f64, bound: Option<f64>, crossed: bool) -> bool {
        let Some(bound) = bound else { return false };
        let margin = bound.abs() * self.hysteresis;
        match self.direction {
            Direction::Above if crossed && margin > 0.0 => value > bound - margin,
            Direction::Above => value >= bound,
            Direction::Below if crossed && margin > 0.0 => value < bound + margin,
            Direction::Below => value <= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossed_bound_clears_only_past_its_margin() {
        let slow = Threshold {
            direction: Direction::Above,
            warning: Some(1.0),
            critical: Some(3.0),
            hysteresis: 0.1,
            checks: 1,
        };
        assert_eq!(slow.classify(0.99, Severity::Fine), Severity::Fine);
        assert_eq!(slow.classify(1.0, Severity::Fine), Severity::Warning);
        assert_eq!(slow.classify(0.95, Severity::Warning), Severity::Warning);
        assert_eq!(slow.classify(0.9, Severity::Warning), Severity::Fine);
        assert_eq!(slow.classify(2.8, Severity::Critical), Severity::Critical);
        assert_eq!(slow.classify(2.6, Severity::Critical), Severity::Warning);
        let days = Threshold {
            direction: Direction::Below,
            warning: Some(21.0),
            critical: Some(7.0),
            hysteresis: 0.0,
            checks: 1,
        };
        assert_eq!(days.classify(22.0, Severity::Fine), Severity::Fine);
        assert_eq!(days.classify(21.0, Severity::Fine), Severity::Warning);
        assert_eq!(days.classify(-3.0, Severity::Warning), Severity::Critical);
        assert_eq!(days.classify(90.0, Severity::Critical), Severity::Fine);
    }

    #[test]
    fn nan_is_never_beyond_a_bound() {
        let bound = Threshold {
            direction: Direction::Above,
            warning: Some(1.0),
            critical: None,
            hysteresis: 0.1,
            checks: 1,
        };
        assert_eq!(bound.classify(f64::NAN, Severity::Warning), Severity::Fine);
    }
}
