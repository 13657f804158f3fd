//! Health checks of the service itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How a part of the service fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// Well.
    Healthy,
    /// Working, with less than it should have.
    Degraded,
    /// Not working.
    Unhealthy,
}

impl HealthStatus {
    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The answer of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// How it fares.
    pub status: HealthStatus,
    /// Why, when it is not healthy.
    pub message: Option<String>,
}

impl CheckResult {
    /// All is well.
    pub const HEALTHY: Self = Self { status: HealthStatus::Healthy, message: None };

    /// Something is not.
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: Some(message.into()) }
    }
}

/// The answers of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// The worst of them.
    pub status: HealthStatus,
    /// Each by its name, in the order of registration.
    pub checks: Vec<(&'static str, CheckResult)>,
}

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync>;

/// The checks of a service.
#[derive(Clone, Default)]
pub struct HealthChecks {
    checks: Vec<(&'static str, Check)>,
}

impl std::fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

impl HealthChecks {
    /// A check may take this long before it counts as failed.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Adds a check.
    pub fn register<F, Fut>(&mut self, name: &'static str, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
    }

    /// Runs all checks side by side.
    pub async fn run(&self) -> HealthReport {
        let runs = self.checks.iter().map(|(name, check)| async move {
            let result = actix_web::rt::time::timeout(Self::PATIENCE, check()).await;
            let late = || CheckResult::new(HealthStatus::Unhealthy, "the check does not answer");
            (*name, result.unwrap_or_else(|_| late()))
        });
        let checks = futures_util::future::join_all(runs).await;
        let status = checks.iter().map(|(_, result)| result.status).max().unwrap_or(HealthStatus::Healthy);
        HealthReport { status, checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn the_worst_check_decides() {
        let mut checks = HealthChecks::default();
        checks.register("a", || async { CheckResult::HEALTHY });
        assert_eq!(checks.run().await.status, HealthStatus::Healthy);
        checks.register("b", || async { CheckResult::new(HealthStatus::Degraded, "slow") });
        let report = checks.run().await;
        assert_eq!((report.status, report.checks[1].0), (HealthStatus::Degraded, "b"));
    }
}
