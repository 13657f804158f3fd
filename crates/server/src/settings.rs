//! The settings: built-in defaults, `config/wise.toml`, `.env`, environment, in this order.
//!
//! The structs are the documentation: `.env.example`, `config/wise.toml` and docs/configuration.md are made from them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wise_core::HumanDuration;

use crate::environment::Environment;
use crate::store::Place;

const PREFIX: &str = "WISE_";
/// Read when no file is named; may be missing.
const DEFAULT_FILE: &str = "config/wise.toml";
/// Variables that begin like settings and are something else.
const OTHER_VARIABLES: [&str; 1] = ["WISE_SECRET_KEY"];
/// Variables that set something under a name that others have given them. A setting's own variable goes before.
const ALIASES: [(&str, &str); 2] = [
    ("SLOW_REQUEST_THRESHOLD", "server.slow_request_threshold"),
    ("VERY_SLOW_THRESHOLD", "server.very_slow_request_threshold"),
];

/// All settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The HTTP server.
    pub(crate) server: Server,
    /// Where everything is kept.
    pub(crate) storage: Storage,
    /// Files with monitors.
    pub(crate) monitors: Monitors,
    /// How checks are run.
    pub(crate) checks: Checks,
    /// How a dead uplink is told from a dead target.
    pub(crate) egress: Egress,
    /// What is logged.
    pub(crate) log: Log,
    /// How things are shown.
    pub(crate) display: Display,
}

/// The HTTP server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Addresses to listen on. Only loopback addresses while there is no login.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) listen: Vec<String>,
    /// Address at which people reach the server, such as `https://monitoring.example.org`: for links in notifications.
    /// Its host is answered too. Empty: links have the address that is listened on.
    pub(crate) public_url: String,
    /// Path below which everything is served, such as /monitoring.
    pub(crate) base_path: String,
    /// Host names, besides localhost, that requests may be addressed to, such as that of a proxy before the server.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) host_names: Vec<String>,
    /// Threads that answer requests.
    pub(crate) workers: usize,
    /// From how many milliseconds on a request to this server counts as slow. Also the variable SLOW_REQUEST_THRESHOLD.
    pub(crate) slow_request_threshold: u64,
    /// From how many milliseconds on it counts as very slow, at least those of a slow one. Also the variable
    /// VERY_SLOW_THRESHOLD.
    pub(crate) very_slow_request_threshold: u64,
}

/// Where everything is kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// The store: sqlite://FOLDER, or mongodb://USER:PASSWORD@HOST:PORT/DATABASE.
    pub(crate) url: String,
    /// Folder of the spool, with a store in MongoDB: a copy of the definitions, and what waits to be sent.
    pub(crate) spool: String,
    /// Bytes of the spool at most; when there is more, the oldest days go, also unsent. 0 for no limit.
    pub(crate) spool_max_bytes: u64,
    /// How long samples and single results are kept.
    pub(crate) retention: HumanDuration,
    /// How long rollups of five minutes are kept.
    pub(crate) retention_5m: HumanDuration,
    /// How long rollups of an hour are kept.
    pub(crate) retention_1h: HumanDuration,
    /// How long rollups of a day are kept.
    pub(crate) retention_1d: HumanDuration,
    /// Bytes of history at most; when there is more, the oldest goes before its time. 0 for no limit.
    pub(crate) max_bytes: u64,
    /// Memory for results that are not compressed yet, in bytes.
    pub(crate) head_bytes: usize,
    /// Series with labels that one monitor, or another source, may have in a day; readings beyond are not kept.
    pub(crate) max_series: usize,
}

/// Files with monitors.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Monitors {
    /// Folder with *.toml files. Changes are taken over while the server runs.
    pub(crate) folder: String,
    /// How often the folder is looked at.
    pub(crate) reload_interval: HumanDuration,
}

/// How checks are run.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Checks {
    /// Threads that run checks; 0 is one for each processor.
    pub(crate) threads: usize,
    /// Checks in flight at most.
    pub(crate) max_in_flight: u32,
    /// Checks in flight to one host at most.
    pub(crate) max_in_flight_per_host: u32,
    /// How long running checks may go on when the server stops.
    pub(crate) shutdown_grace: HumanDuration,
    /// Kept with each result: where the checks are made.
    pub(crate) location: String,
    /// Kept with each result: which process makes them; empty is the host name.
    pub(crate) worker: String,
}

/// How a dead uplink is told from a dead target.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Egress {
    /// Addresses, HOST:PORT, that answer when the uplink works. When a check fails and these fail too, the target is
    /// unknown and not down. Empty: only this machine's own routing table is asked.
    pub(crate) addresses: Vec<String>,
    /// How many of them must answer; 0 is more than half.
    pub(crate) quorum: usize,
    /// How long they may take.
    pub(crate) timeout: HumanDuration,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// pretty, or json for a line of JSON each.
    pub(crate) format: LogFormat,
    /// Least severe level: error, warn, info, debug, trace; or a list by module, such as `info,wise_net=debug`.
    pub(crate) level: String,
}

/// Log formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// For programs.
    Json,
}

/// How things are shown.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Display {
    /// Time zone in which the dashboard shows times, from the IANA list, such as Asia/Kolkata.
    pub(crate) time_zone: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:8080".to_owned()],
            base_path: String::new(),
            public_url: String::new(),
            host_names: Vec::new(),
            workers: 2,
            slow_request_threshold: 1000,
            very_slow_request_threshold: 3000,
        }
    }
}

impl Server {
    /// From when on a request is slow.
    pub(crate) fn thresholds(&self) -> wise_telemetry::Thresholds {
        wise_telemetry::Thresholds {
            slow: Duration::from_millis(self.slow_request_threshold),
            very_slow: Duration::from_millis(self.very_slow_request_threshold),
        }
    }

    fn check_thresholds(&self) -> anyhow::Result<()> {
        let (slow, very_slow) = (self.slow_request_threshold, self.very_slow_request_threshold);
        if slow == 0 {
            bail!(
                "server.slow_request_threshold: `0` would make every request slow: use milliseconds from 1 on, such as 1000"
            );
        }
        if very_slow < slow {
            bail!(
                "server.very_slow_request_threshold: `{very_slow}` is less than the {slow} ms of \
                 server.slow_request_threshold: use as many milliseconds or more"
            );
        }
        Ok(())
    }
}

impl Storage {
    /// How long history is kept.
    pub(crate) fn retention(&self) -> wise_storage::Retention {
        wise_storage::Retention {
            raw: self.retention.0,
            five_minutes: self.retention_5m.0,
            hours: self.retention_1h.0,
            days: self.retention_1d.0,
            max_bytes: Some(self.max_bytes).filter(|bytes| *bytes > 0),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            url: "sqlite://./data".to_owned(),
            spool: "./data/spool".to_owned(),
            spool_max_bytes: 4 << 30,
            retention: HumanDuration::from_secs(7 * 86_400),
            retention_5m: HumanDuration::from_secs(30 * 86_400),
            retention_1h: HumanDuration::from_secs(365 * 86_400),
            retention_1d: HumanDuration::from_secs(5 * 365 * 86_400),
            max_bytes: 0,
            head_bytes: 12 * 1024 * 1024,
            max_series: 10_000,
        }
    }
}

impl Default for Monitors {
    fn default() -> Self {
        Self { folder: "config/monitors.d".to_owned(), reload_interval: HumanDuration::from_secs(5) }
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            threads: 0,
            max_in_flight: 2048,
            max_in_flight_per_host: 256,
            shutdown_grace: HumanDuration::from_secs(10),
            location: "default".to_owned(),
            worker: String::new(),
        }
    }
}

impl Default for Egress {
    fn default() -> Self {
        Self { addresses: Vec::new(), quorum: 0, timeout: HumanDuration::from_secs(2) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, level: "info".to_owned() }
    }
}

impl Default for Display {
    fn default() -> Self {
        Self { time_zone: "UTC".to_owned() }
    }
}

/// One text is taken for a list of one.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(Visitor)
}

/// Settings, and what deserves a warning about where they come from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Reads all layers.
    ///
    /// # Errors
    /// A named file is missing, or a value is wrong; the text names the place and the field.
    pub(crate) fn load(file: Option<&Path>, environment: &Environment) -> anyhow::Result<Loaded> {
        let mut builder = config::Config::builder();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        if file.is_some() || path.exists() {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            // Read by itself first: then an error can say which file, line and field it is in.
            toml::from_str::<Self>(&text).map_err(|error| {
                let line = error
                    .span()
                    .map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
                anyhow::anyhow!("{}:{line}: {}", path.display(), error.message())
            })?;
            builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
        }
        for (name, path) in ALIASES {
            let Some(text) = environment.get(name) else { continue };
            let text = text.trim();
            // By hand: an error of the layers below would name the setting, and not what was written.
            if text.parse::<u64>().is_err() {
                bail!("{name}: `{text}` is no whole number of milliseconds: use one such as 1000");
            }
            builder = builder.set_override(path, text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        }
        let mut warnings = Vec::new();
        let known = variables();
        for (name, value) in environment.with_prefix(PREFIX) {
            let full = format!("{PREFIX}{name}");
            if OTHER_VARIABLES.contains(&full.as_str()) {
                continue;
            }
            let Some(setting) = known.iter().find(|setting| setting.variable == full) else {
                warnings.push(format!(
                    "the variable {full} is no setting and has no effect{}",
                    suggestion(&full, &known)
                ));
                continue;
            };
            let wrong = |error: config::ConfigError| anyhow::anyhow!("{full}: {error}");
            builder = if setting.is_list {
                let items: Vec<String> =
                    value.split(',').map(str::trim).filter(|i| !i.is_empty()).map(str::to_owned).collect();
                builder.set_override(&setting.path, items).map_err(wrong)?
            } else {
                builder.set_override(&setting.path, value).map_err(wrong)?
            };
        }
        let settings: Self = builder
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| anyhow::anyhow!("settings: {error}"))?;
        settings.validate()?;
        Ok(Loaded { settings, warnings })
    }

    /// The address at which people reach the server, without a slash at its end, and its host.
    ///
    /// # Errors
    /// It is no address of a website.
    pub(crate) fn public_url(&self) -> anyhow::Result<Option<(String, String)>> {
        let text = self.server.public_url.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |why: &str| {
            anyhow::anyhow!(
                "server.public_url: `{text}` {why}: write an address such as https://monitoring.example.org"
            )
        };
        let url = url::Url::parse(text).map_err(|error| wrong(&format!("is no URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has a user name or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or a fragment"));
        }
        let host = url.host_str().ok_or_else(|| wrong("has no host"))?.to_lowercase();
        Ok(Some((url.as_str().trim_end_matches('/').to_owned(), host)))
    }

    fn validate(&self) -> anyhow::Result<()> {
        self.addresses()?;
        self.place()?;
        if self.storage.spool.is_empty() {
            bail!("storage.spool: name a folder, such as ./data/spool");
        }
        self.public_url()?;
        let base = &self.server.base_path;
        if !base.is_empty()
            && (!base.starts_with('/') || base.ends_with('/') || base.contains(['?', '#', '"', '<', ' ']))
        {
            bail!(
                "server.base_path: `{base}` must begin with a slash and not end with one, such as /monitoring"
            );
        }
        if self.display.time_zone.is_empty() || !is_time_zone(&self.display.time_zone) {
            bail!(
                "display.time_zone: `{}` is no IANA time zone, such as Asia/Kolkata",
                self.display.time_zone
            );
        }
        if self.egress.quorum > self.egress.addresses.len() {
            bail!(
                "egress.quorum: {} is more than the {} addresses",
                self.egress.quorum,
                self.egress.addresses.len()
            );
        }
        for address in &self.egress.addresses {
            if address
                .rsplit_once(':')
                .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                bail!("egress.addresses: `{address}` is no HOST:PORT");
            }
        }
        if self.checks.max_in_flight == 0 || self.checks.max_in_flight_per_host == 0 {
            bail!("checks.max_in_flight and checks.max_in_flight_per_host must be above 0");
        }
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        for part in self.log.level.split(',').map(str::trim) {
            // A word without `=` would be taken for a module, and everything else be silent.
            let level = part.split_once('=').map_or(part, |(_, level)| level);
            if !LEVELS.contains(&level.to_lowercase().as_str()) {
                bail!("log.level: `{part}` is none of {}", LEVELS.join(", "));
            }
        }
        let storage = &self.storage;
        for (name, value) in [
            ("retention", storage.retention),
            ("retention_5m", storage.retention_5m),
            ("retention_1h", storage.retention_1h),
            ("retention_1d", storage.retention_1d),
        ] {
            if value.0 < Duration::from_secs(86_400) {
                bail!("storage.{name}: `{value}` is shorter than 1d, and whole days are removed");
            }
        }
        self.server.check_thresholds()?;
        if self.server.workers == 0 {
            bail!("server.workers must be above 0");
        }
        Ok(())
    }

    /// The addresses to listen on.
    ///
    /// # Errors
    /// One is no address, or reachable by others.
    pub(crate) fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        if self.server.listen.is_empty() {
            bail!("server.listen: name at least one address, such as 127.0.0.1:8080");
        }
        self.server
            .listen
            .iter()
            .map(|text| {
                let address: SocketAddr = text.parse().map_err(|_| {
                    anyhow::anyhow!(
                        "server.listen: `{text}` is no address with a port, such as 127.0.0.1:8080"
                    )
                })?;
                if !address.ip().is_loopback() {
                    bail!(
                        "server.listen: `{text}` can be reached by others, and there is no login yet: \
                         use 127.0.0.1 or [::1], and a proxy with a login before it"
                    );
                }
                Ok(address)
            })
            .collect()
    }

    /// Where the store is.
    ///
    /// # Errors
    /// The URL is of another kind.
    pub(crate) fn place(&self) -> anyhow::Result<Place> {
        Place::parse(&self.storage.url).map_err(|error| anyhow::anyhow!("storage.url: it {error}"))
    }

    /// The folder on this machine: of the embedded store, or of the spool before MongoDB.
    ///
    /// # Errors
    /// The URL is of another kind.
    pub(crate) fn local_folder(&self) -> anyhow::Result<PathBuf> {
        Ok(match self.place()? {
            Place::Embedded(folder) => folder,
            Place::Mongo(_) => PathBuf::from(&self.storage.spool),
        })
    }

    /// The folder of the embedded store.
    ///
    /// # Errors
    /// The store is in MongoDB.
    pub(crate) fn embedded_folder(&self) -> anyhow::Result<PathBuf> {
        match self.place()? {
            Place::Embedded(folder) => Ok(folder),
            Place::Mongo(_) => bail!(
                "the store is in MongoDB: back it up and restore it with mongodump and mongorestore, or copy it into a \
                 folder with `wise-monitoring migrate --to sqlite://FOLDER`"
            ),
        }
    }
}

fn is_time_zone(name: &str) -> bool {
    wise_core::is_time_zone(name)
}

/// A setting and its variable.
#[derive(Debug)]
pub(crate) struct Variable {
    /// `WISE_SERVER__LISTEN`.
    pub(crate) variable: String,
    /// `server.listen`.
    pub(crate) path: String,
    /// What it is.
    pub(crate) description: String,
    /// Its default as text.
    pub(crate) default: String,
    /// Whether it takes several values, separated by commas.
    pub(crate) is_list: bool,
}

/// Every setting, from the schema.
pub(crate) fn variables() -> Vec<Variable> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Settings>()
        .to_value();
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut found = Vec::new();
    let groups = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    for (group, group_schema) in &groups {
        let fields = group_schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (field, field_schema) in &fields {
            let default = &defaults[group][field];
            found.push(Variable {
                variable: format!("{PREFIX}{}__{}", group.to_uppercase(), field.to_uppercase()),
                path: format!("{group}.{field}"),
                description: field_schema
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .replace('\n', " "),
                default: match default {
                    Value::String(text) => text.clone(),
                    Value::Array(items) => {
                        items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
                    }
                    other => other.to_string(),
                },
                is_list: default.is_array(),
            });
        }
    }
    found
}

fn suggestion(name: &str, known: &[Variable]) -> String {
    let likeness = |variable: &Variable| strsim::jaro_winkler(name, &variable.variable);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|variable| likeness(variable) > 0.9)
        .map_or_else(String::new, |v| format!("; did you mean {}?", v.variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, pairs: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wise.toml");
        std::fs::write(&file, text).unwrap();
        Settings::load(Some(&file), &Environment::of(pairs))
    }

    #[test]
    fn the_public_url_is_an_address_of_a_website() {
        let of = |url: &str| load("", &[("WISE_SERVER__PUBLIC_URL", url)]);
        let found = of("https://Mon.example.org/base/").unwrap().settings.public_url().unwrap().unwrap();
        assert_eq!(found, ("https://mon.example.org/base".to_owned(), "mon.example.org".to_owned()));
        assert_eq!(of("").unwrap().settings.public_url().unwrap(), None);
        for (wrong, why) in [
            ("mon.example.org", "is no URL"),
            ("ftp://mon.example.org", "neither http nor https"),
            ("https://ann:secret@mon.example.org", "has a user name or a password"),
            ("https://mon.example.org/?a=b", "has a query"),
        ] {
            let text = of(wrong).unwrap_err().to_string();
            assert!(
                text.contains("server.public_url") && text.contains(why) && text.contains("write"),
                "{text}"
            );
        }
    }

    #[test]
    fn layers_override_each_other() {
        let loaded = load(
            "[server]\nlisten = [\"127.0.0.1:9000\"]\n[display]\ntime_zone = \"Asia/Kolkata\"\n",
            &[
                ("WISE_SERVER__LISTEN", "127.0.0.1:1, [::1]:2"),
                ("WISE_STORAGE__RETENTION", "3d"),
                ("WISE_CHECKS__THREADS", "3"),
            ],
        )
        .unwrap();
        assert_eq!(loaded.settings.server.listen, ["127.0.0.1:1", "[::1]:2"]);
        assert_eq!(loaded.settings.display.time_zone, "Asia/Kolkata");
        assert_eq!(loaded.settings.checks.threads, 3);
        assert_eq!(loaded.settings.storage.retention, HumanDuration::from_secs(3 * 86_400));
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }

    #[test]
    fn wrong_settings_name_their_place() {
        let text = |text, pairs: &[(&str, &str)]| load(text, pairs).unwrap_err().to_string();
        assert!(text("[server]\nlissten = []\n", &[]).contains("wise.toml:2: unknown field `lissten`"));
        assert!(text("", &[("WISE_SERVER__LISTEN", "0.0.0.0:80")]).contains("no login yet"));
        assert!(text("", &[("WISE_SERVER__BASE_PATH", "x/")]).contains("server.base_path"));
        assert!(text("", &[("WISE_DISPLAY__TIME_ZONE", "Mars/Base")]).contains("IANA"));
        assert!(text("", &[("WISE_STORAGE__URL", "mysql://u:hunter2@h")]).contains("storage.url"));
        assert!(!text("", &[("WISE_STORAGE__URL", "mysql://u:hunter2@h")]).contains("hunter2"));
        assert!(text("", &[("WISE_CHECKS__THREADS", "many")]).contains("threads"));
        assert!(
            text("", &[("WISE_LOG__LEVEL", "verbose")])
                .contains("log.level: `verbose` is none of off, error")
        );
        assert!(text("", &[("WISE_STORAGE__RETENTION", "0s")]).contains("storage.retention"));
        assert!(text("", &[("WISE_EGRESS__ADDRESSES", "x")]).contains("egress.addresses"));
    }

    #[test]
    fn thresholds_of_requests_have_two_names() {
        let thresholds =
            |text, pairs: &[(&str, &str)]| load(text, pairs).map(|it| it.settings.server.thresholds());
        let millis = |slow, very_slow| wise_telemetry::Thresholds {
            slow: Duration::from_millis(slow),
            very_slow: Duration::from_millis(very_slow),
        };
        assert_eq!(thresholds("", &[]).unwrap(), millis(1000, 3000));
        let given = [("SLOW_REQUEST_THRESHOLD", "250"), ("VERY_SLOW_THRESHOLD", " 750 ")];
        assert_eq!(thresholds("[server]\nslow_request_threshold = 5\n", &given).unwrap(), millis(250, 750));
        let both = [("SLOW_REQUEST_THRESHOLD", "250"), ("WISE_SERVER__SLOW_REQUEST_THRESHOLD", "20")];
        assert_eq!(thresholds("", &both).unwrap(), millis(20, 3000));
        let wrong = |pairs: &[(&str, &str)]| thresholds("", pairs).unwrap_err().to_string();
        for text in ["1s", "-1", "1.5", ""] {
            let said = wrong(&[("SLOW_REQUEST_THRESHOLD", text)]);
            let start = format!("SLOW_REQUEST_THRESHOLD: `{text}` is no whole number of milliseconds");
            assert!(said.starts_with(&start) && said.ends_with("such as 1000"), "{said}");
        }
        assert!(wrong(&[("SLOW_REQUEST_THRESHOLD", "0")]).contains("server.slow_request_threshold: `0`"));
        let said = wrong(&[("VERY_SLOW_THRESHOLD", "999")]);
        assert!(
            said.contains("server.very_slow_request_threshold: `999` is less than the 1000 ms"),
            "{said}"
        );
        assert!(
            wrong(&[("WISE_SERVER__VERY_SLOW_REQUEST_THRESHOLD", "x")])
                .contains("very_slow_request_threshold")
        );
    }

    #[test]
    fn unknown_variables_are_warnings() {
        let loaded = load("[server]\nlisten = \"127.0.0.1:9\"\n", &[("WISE_SERVER__LISTN", "x")]).unwrap();
        assert_eq!(loaded.settings.server.listen, ["127.0.0.1:9"]);
        assert!(loaded.warnings[0].ends_with("did you mean WISE_SERVER__LISTEN?"), "{:?}", loaded.warnings);
        let loaded = load("", &[("WISE_SERVER_LISTEN", "x")]).unwrap();
        assert_eq!(
            loaded.warnings,
            [
                "the variable WISE_SERVER_LISTEN is no setting and has no effect; did you mean WISE_SERVER__LISTEN?"
            ]
        );
    }

    #[test]
    fn every_setting_is_described() {
        for variable in variables() {
            assert!(variable.description.len() > 5, "{} has no doc comment", variable.path);
        }
    }
}
