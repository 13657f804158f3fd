//! The plugins that are linked into this program.

use std::collections::BTreeMap;

use crate::class::{ErrorClass, common};
use crate::conformance;
use crate::plugin::Plugin;

/// The linked plugins, sorted by kind and checked against each other.
#[derive(Debug)]
pub struct Registry {
    plugins: BTreeMap<&'static str, &'static Plugin>,
    classes: BTreeMap<&'static str, &'static ErrorClass>,
}

/// The linked plugins do not fit together. The program must not start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two plugins claim a kind.
    #[error("the kind `{kind}` is registered twice, by the crates {first} and {second}: rename one of them")]
    DuplicateKind {
        /// The kind.
        kind: &'static str,
        /// One crate.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Two metrics would have the same name in Prometheus text.
    #[error(
        "the metric `{first}` of crate {first_package} and the metric `{second}` of crate {second_package} \
         would both be {prometheus} in Prometheus text: rename one of them"
    )]
    MetricCollision {
        /// One metric.
        first: &'static str,
        /// Its crate.
        first_package: &'static str,
        /// The other metric.
        second: &'static str,
        /// Its crate.
        second_package: &'static str,
        /// The name they share.
        prometheus: String,
    },
    /// A descriptor breaks a rule.
    #[error("the plugin `{kind}` of crate {package} breaks a rule of the plugin contract: {rule}")]
    BadDescriptor {
        /// The kind.
        kind: &'static str,
        /// Its crate.
        package: &'static str,
        /// The rule.
        rule: String,
    },
    /// A class of one plugin means something else in another.
    #[error(
        "the error class `{name}` is declared by crate {package} and elsewhere with another meaning: rename it"
    )]
    ClassConflict {
        /// The class.
        name: &'static str,
        /// The crate that declares it last.
        package: &'static str,
    },
}

impl Registry {
    /// Everything that registered itself through `inventory`.
    ///
    /// # Errors
    /// Two plugins clash, or one has a bad name.
    pub fn linked() -> Result<Self, RegistryError> {
        Self::new(inventory::iter::<Plugin>)
    }

    /// A registry of the given plugins.
    ///
    /// # Errors
    /// Two plugins clash, or one has a bad name.
    pub fn new(plugins: impl IntoIterator<Item = &'static Plugin>) -> Result<Self, RegistryError> {
        let mut sorted: Vec<&'static Plugin> = plugins.into_iter().collect();
        // Registration order is not defined: sort, so that the message is the same each time.
        sorted.sort_by_key(|plugin| (plugin.kind, plugin.package));
        let mut registry = Self { plugins: BTreeMap::new(), classes: BTreeMap::new() };
        let mut metrics: BTreeMap<String, (&'static str, &'static str)> = BTreeMap::new();
        for class in common::ALL {
            registry.classes.insert(class.name, class);
        }
        for plugin in sorted {
            if let Some(first) = registry.plugins.get(plugin.kind) {
                return Err(RegistryError::DuplicateKind {
                    kind: plugin.kind,
                    first: first.package,
                    second: plugin.package,
                });
            }
            if let Some(rule) = conformance::descriptor_problems(plugin).into_iter().next() {
                return Err(RegistryError::BadDescriptor {
                    kind: plugin.kind,
                    package: plugin.package,
                    rule,
                });
            }
            for metric in plugin.metrics {
                let (prometheus, _) = metric.prometheus();
                if let Some((first, first_package)) =
                    metrics.insert(prometheus.clone(), (metric.name, plugin.package))
                {
                    return Err(RegistryError::MetricCollision {
                        first,
                        first_package,
                        second: metric.name,
                        second_package: plugin.package,
                        prometheus,
                    });
                }
            }
            for class in plugin.classes {
                if let Some(known) = registry.classes.insert(class.name, class)
                    && known != *class
                {
                    return Err(RegistryError::ClassConflict { name: class.name, package: plugin.package });
                }
            }
            registry.plugins.insert(plugin.kind, plugin);
        }
        Ok(registry)
    }

    /// The plugins, sorted by kind.
    pub fn plugins(&self) -> impl ExactSizeIterator<Item = &'static Plugin> + '_ {
        self.plugins.values().copied()
    }

    /// The plugin of that kind.
    pub fn plugin(&self, kind: &str) -> Option<&'static Plugin> {
        self.plugins.get(kind).copied()
    }

    /// The error class of that name, common or declared by a plugin.
    pub fn class(&self, name: &str) -> Option<&'static ErrorClass> {
        self.classes.get(name).copied()
    }

    /// The kinds, for messages.
    pub fn kinds(&self) -> String {
        self.plugins.keys().copied().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::{BuildContext, FieldErrors, MetricSpec, Monitor, MonitorSettings, ProbeSpec};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}

    impl MonitorSettings for Nothing {
        fn example() -> Value {
            json!({})
        }

        fn build(self, _: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
            Err(FieldErrors::default())
        }
    }

    static PROBES: [ProbeSpec; 1] =
        [ProbeSpec::new("availability", "Availability", Duration::from_secs(30), Duration::from_secs(5))];

    /// A plugin that lives for the rest of the test run, as linked ones do.
    fn plugin(kind: &'static str, package: &'static str, metrics: &[&'static str]) -> &'static Plugin {
        let metrics: Vec<MetricSpec> =
            metrics.iter().map(|name| MetricSpec::latency(name, "Title", "A sentence of help")).collect();
        let metrics: Vec<&'static MetricSpec> = metrics.leak().iter().collect();
        let metrics: &'static [&'static MetricSpec] = metrics.leak();
        let headline = metrics.first().map_or("", |metric| metric.name);
        Box::leak(Box::new(Plugin {
            probes: &PROBES,
            metrics,
            headline,
            ..Plugin::new::<Nothing>(kind, package)
        }))
    }

    fn refused(plugins: &[&'static Plugin]) -> String {
        Registry::new(plugins.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn a_duplicate_kind_names_both_crates() {
        let error =
            refused(&[plugin("db", "one", &["db.a_seconds"]), plugin("db", "two", &["db.b_seconds"])]);
        assert_eq!(error, "the kind `db` is registered twice, by the crates one and two: rename one of them");
    }

    #[test]
    fn a_bad_metric_name_names_crate_and_rule() {
        for (name, rule) in [
            ("other.a_seconds", "must begin with `db.`"),
            ("db.A_seconds", "words [a-z]"),
            ("db.a_bytes", "must end in its unit"),
        ] {
            let error = refused(&[plugin("db", "one", &[name])]);
            assert!(error.contains("crate one") && error.contains(rule), "{error}");
        }
    }

    #[test]
    fn names_that_meet_in_prometheus_text_name_both_metrics() {
        let error = refused(&[plugin("db", "one", &["db.a.b_seconds", "db.a_b_seconds"])]);
        assert!(error.contains("`db.a.b_seconds`") && error.contains("`db.a_b_seconds`"), "{error}");
        assert!(error.contains("wise_db_a_b_seconds"), "{error}");
    }

    #[test]
    fn what_fits_is_sorted_by_kind() {
        let registry =
            Registry::new([plugin("zoo", "z", &["zoo.a_seconds"]), plugin("ant", "a", &["ant.a_seconds"])])
                .unwrap();
        assert_eq!(registry.kinds(), "ant, zoo");
        assert!(registry.class("refused").is_some() && registry.class("nonsense").is_none());
    }
}
