//! The text of INFO: names and values, whatever sections a server has.

use std::collections::BTreeMap;

/// Names and values of INFO. A name may come more than once: what users name is written with `_` for letters that would
/// not fit in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Info(BTreeMap<String, Vec<String>>);

/// What a server is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Primary,
    Replica,
    Sentinel,
}

impl Standing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Sentinel => "sentinel",
        }
    }

    /// The code of the metric.
    pub(crate) fn code(self) -> f64 {
        match self {
            Self::Primary => 0.0,
            Self::Replica => 1.0,
            Self::Sentinel => 2.0,
        }
    }
}

impl Info {
    /// Reads the text; `None` when it is no INFO of a Redis or one of its kin.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
                fields.entry(name.to_owned()).or_default().push(value.trim_end().to_owned());
            }
        }
        let info = Self(fields);
        (info.get("redis_version").is_some() || info.get("valkey_version").is_some()).then_some(info)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A number that is there and not negative: -1 stands for "none" in many fields.
    pub(crate) fn positive(&self, name: &str) -> Option<f64> {
        self.number(name).filter(|number| *number >= 0.0)
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The fields whose names begin so, with the rest of the name.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .range(prefix.to_owned()..)
            .map_while(move |(name, values)| Some((name.strip_prefix(prefix)?, values)))
            .flat_map(|(rest, values)| values.iter().map(move |value| (rest, value.as_str())))
    }

    /// `valkey`, or `redis`.
    pub(crate) fn flavour(&self) -> &'static str {
        let is_valkey = self.is("server_name", "valkey") || self.get("valkey_version").is_some();
        if is_valkey { "valkey" } else { "redis" }
    }

    /// The version of the flavour: Valkey gives 7.2.4 as redis_version, for compatibility.
    pub(crate) fn version(&self) -> &str {
        self.get("valkey_version").or_else(|| self.get("redis_version")).unwrap_or("unknown")
    }

    /// `standalone`, `cluster` or `sentinel`; Valkey has another name for the field.
    pub(crate) fn mode(&self) -> &str {
        self.get("redis_mode").or_else(|| self.get("server_mode")).unwrap_or("standalone")
    }

    pub(crate) fn standing(&self) -> Standing {
        match (self.mode(), self.get("role")) {
            ("sentinel", _) => Standing::Sentinel,
            (_, Some("slave" | "replica")) => Standing::Replica,
            _ => Standing::Primary,
        }
    }

    /// Replicas as a primary lists them, `slave0:ip=…,port=…,state=online,offset=…,lag=…`: `ip:port`, and the rest. The
    /// ip is whatever the replica announces.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (String, Pairs<'_>)> {
        self.numbered("slave").map(|value| {
            let (ip, rest) = value.rsplit_once(",port=").unwrap_or((value, ""));
            let (port, rest) = rest.split_once(',').unwrap_or((rest, ""));
            let known = |text: &'_ str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
            let ip = ip.strip_prefix("ip=").unwrap_or_default();
            (format!("{}:{}", known(ip), known(port)), Pairs::read(rest))
        })
    }

    /// Primaries as a Sentinel lists them, `master0:name=…,status=…,address=…`: the name, and the rest. A name may hold
    /// anything.
    pub(crate) fn masters(&self) -> impl Iterator<Item = (&str, Pairs<'_>)> {
        self.numbered("master").filter_map(|value| {
            let at = value.rfind(",status=")?;
            Some((value[..at].strip_prefix("name=")?, Pairs::read(&value[at + 1..])))
        })
    }

    /// The values of `PREFIX0`, `PREFIX1` and so on.
    fn numbered<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.with_prefix(prefix)
            .filter(|(rest, _)| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|(_, value)| value)
    }

    /// The named fields as JSON, those that are there.
    pub(crate) fn summary(&self, names: &[&str]) -> serde_json::Value {
        let found = names.iter().filter_map(|name| Some(((*name).to_owned(), self.get(name)?.into())));
        serde_json::Value::Object(found.collect())
    }
}

/// `a=1,b=2`, read by name and never by position: later versions put in more.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Pairs<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        Self(text.split(',').filter_map(|pair| pair.split_once('=')).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valkey_is_known_by_its_own_fields() {
        let valkey = Info::read(
            "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.3\r\n\
             server_mode:cluster\r\nrun_id:x\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=10.0.0.2,port=6379,state=online,offset=1000,lag=1,type=replica\r\n\
             slave1:ip=fd00::2,port=6380,state=wait_bgsave,type=rdb-channel,lag=0,offset=0\r\n\
             slave_expires_tracked_keys:0\r\n",
        )
        .unwrap();
        assert_eq!((valkey.flavour(), valkey.version(), valkey.mode()), ("valkey", "8.1.3", "cluster"));
        let replicas: Vec<_> = valkey.replicas().collect();
        assert_eq!(replicas.len(), 2, "slave_expires_tracked_keys is no replica");
        assert_eq!(replicas[0].1.number("offset"), Some(1000.0));
        assert_eq!(
            (replicas[1].0.as_str(), replicas[1].1.get("state")),
            ("fd00::2:6380", Some("wait_bgsave"))
        );
        // Without the fields of compatibility.
        let bare = Info::read(
            "server_name:valkey\r\nvalkey_version:9.0.0\r\nserver_mode:standalone\r\nrole:slave\r\n",
        );
        let bare = bare.unwrap();
        assert_eq!((bare.version(), bare.standing()), ("9.0.0", Standing::Replica));
    }

    #[test]
    fn redis_of_all_ages_is_read() {
        let old = Info::read(
            "# Server\nredis_version:5.0.14\nredis_mode:sentinel\n# Sentinel\nsentinel_masters:1\n",
        );
        let old = old.unwrap();
        assert_eq!((old.flavour(), old.standing()), ("redis", Standing::Sentinel));
        let new = Info::read(
            "redis_version:8.0.2\r\nredis_mode:standalone\r\nrole:master\r\nmaster_link_down_since_seconds:-1\r\n",
        );
        let new = new.unwrap();
        assert_eq!(new.standing(), Standing::Primary);
        assert_eq!(new.positive("master_link_down_since_seconds"), None);
        assert_eq!(new.number("master_link_down_since_seconds"), Some(-1.0));
    }

    #[test]
    fn other_texts_are_no_info() {
        assert!(Info::read("").is_none());
        assert!(Info::read("STAT pid 1\r\nversion:1.6\r\n").is_none());
        let strange =
            Info::read("redis_version:7.0.0\r\n:::\r\nslave0:\r\nused_memory:lots\r\ndb0\r\n").unwrap();
        assert_eq!(strange.number("used_memory"), None);
        assert_eq!(strange.replicas().next().unwrap().0, "?:?");
    }

    #[test]
    fn names_that_users_choose_do_not_reach_into_other_fields() {
        let info = Info::read(
            "redis_version:7.0.15\r\nredis_mode:sentinel\r\n\
             slave0:ip=x,port=1,state=y,port=7001,state=online,offset=5,lag=0\r\n\
             slave1:ip=x,port=1,state=y,port=7002,state=wait_bgsave,offset=6,lag=1\r\n\
             master0:name=a,status=ok,b,status=sdown,address=10.0.0.1:6379,slaves=1,sentinels=3\r\n\
             master1:name=a,status=ok,c,status=ok,address=10.0.0.2:6379,slaves=0,sentinels=3\r\n",
        );
        let info = info.unwrap();
        let replicas: Vec<_> = info.replicas().map(|(address, rest)| (address, rest.get("state"))).collect();
        assert_eq!(
            replicas,
            [
                ("x,port=1,state=y:7001".to_owned(), Some("online")),
                ("x,port=1,state=y:7002".to_owned(), Some("wait_bgsave"))
            ]
        );
        let masters: Vec<_> = info.masters().map(|(name, rest)| (name, rest.get("status"))).collect();
        assert_eq!(masters, [("a,status=ok,b", Some("sdown")), ("a,status=ok,c", Some("ok"))]);
    }
}
