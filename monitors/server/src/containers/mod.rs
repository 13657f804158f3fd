//! Containers: their control groups, and what Docker says of them.

mod cgroup;
mod discover;
mod docker;
mod readings;
mod v1;
mod v2;

pub(crate) use cgroup::{Groups, OURS, Round};
pub(crate) use docker::{Docker, DockerContainer, Seen, Sizes};
pub(crate) use readings::Readings;

use std::collections::{HashMap, HashSet};

use wise_core::Labels;
use wise_core::label::distinguish;

use crate::machine::Pressures;

/// A control group of a container, with what was read of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Whole id, or the path where the runtime gives a name and no id: no two containers have the same.
    pub id: String,
    /// What it is called where no one knows better: the beginning of the id, or the name.
    pub name: String,
    pub usage: Usage,
}

/// The labels of each container, by id. Its name outlives the container; the id is added where two have one name, as a
/// container of Docker and one of LXC may.
pub(crate) fn labels(
    groups: &[Group],
    seen: &Seen,
    names: &HashMap<String, String>,
) -> HashMap<String, Labels> {
    let of_docker = seen.containers.iter().map(|container| (container.id.as_str(), container.name.as_str()));
    let of_groups = groups.iter().map(|group| {
        let id = group.id.as_str();
        (id, names.get(id).map_or(group.name.as_str(), String::as_str))
    });
    let mut known = HashSet::new();
    let parts: Vec<(&str, &str)> = of_docker.chain(of_groups).filter(|(id, _)| known.insert(*id)).collect();
    let by_name = parts.iter().map(|(_, name)| Labels::one("container", *name)).collect();
    let labels = distinguish(by_name, &parts, |labels, (id, _)| labels.with("id", *id));
    parts.iter().map(|(id, _)| (*id).to_owned()).zip(labels).collect()
}

/// What a control group uses. `None` where the kernel or the group does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub cpu_seconds: Option<f64>,
    pub periods: Option<f64>,
    pub throttled_periods: Option<f64>,
    pub throttled_seconds: Option<f64>,
    /// Cores.
    pub cpu_limit: Option<f64>,
    pub memory: Option<f64>,
    pub inactive_file: Option<f64>,
    pub memory_limit: Option<f64>,
    pub anon: Option<f64>,
    pub file: Option<f64>,
    pub shared: Option<f64>,
    pub swap: Option<f64>,
    pub oom_kills: Option<f64>,
    pub high_events: Option<f64>,
    pub max_events: Option<f64>,
    pub pressure: Pressures,
    pub io: Option<Io>,
    pub pids: Option<f64>,
    pub pids_limit: Option<f64>,
    /// Bytes received and sent.
    pub network: Option<(f64, f64)>,
}

impl Usage {
    /// Memory less what could be dropped at once.
    pub(crate) fn working_set(&self) -> Option<f64> {
        self.memory.map(|memory| (memory - self.inactive_file.unwrap_or(0.0)).max(0.0))
    }
}

/// Totals of reading and writing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Io {
    pub read_bytes: f64,
    pub written_bytes: f64,
    pub reads: f64,
    pub writes: f64,
}

impl Io {
    fn add(&mut self, other: Self) {
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.reads += other.reads;
        self.writes += other.writes;
    }
}
