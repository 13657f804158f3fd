//! The trees of control groups, of either version, and the groups of containers in them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::{Found, discover};
use super::{Group, Usage, v1, v2};
use crate::local::{Paths, Reader};
use crate::proc;

/// Id and name of the group that this program runs in.
pub(crate) const OURS: &str = "self";
/// A limit beyond this is none.
const NO_LIMIT: f64 = (1_u64 << 60) as f64;

/// The trees of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trees {
    /// One tree for everything.
    V2(PathBuf),
    /// A tree for each controller; beside them there may be one of version 2 that controls nothing.
    V1(HashMap<&'static str, PathBuf>),
    /// None that can be read.
    None,
}

impl Trees {
    fn find(sys: &str) -> Self {
        let base = PathBuf::from(format!("{sys}/fs/cgroup"));
        // Every tree of version 2 has this file, and none of version 1.
        if base.join("cgroup.controllers").exists() {
            return Self::V2(base);
        }
        let mut trees = HashMap::new();
        for (controller, names) in [
            ("memory", ["memory", "memory"]),
            ("cpu", ["cpu", "cpu,cpuacct"]),
            ("cpuacct", ["cpuacct", "cpu,cpuacct"]),
            ("blkio", ["blkio", "blkio"]),
            ("pids", ["pids", "pids"]),
        ] {
            let tree = names.iter().map(|name| base.join(name)).find(|path| path.is_dir());
            trees.extend(tree.map(|path| (controller, path)));
        }
        if trees.is_empty() { Self::None } else { Self::V1(trees) }
    }

    /// As it reads in facts.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::V2(_) => "cgroup v2",
            Self::V1(_) => "cgroup v1",
            Self::None => "none",
        }
    }
}

/// Reads the control groups of containers, on a blocking thread.
pub(crate) struct Groups {
    pub(super) reader: Reader,
    pub(super) paths: Arc<Paths>,
    /// Whether a device is a layer over others, whose requests would be counted twice.
    layered: HashMap<String, bool>,
    /// Limits of groups above containers, looked up once a round.
    pub(super) limits: HashMap<PathBuf, Option<f64>>,
}

/// A round of reading.
#[derive(Debug)]
pub(crate) struct Round {
    pub trees: Trees,
    pub groups: Vec<Group>,
    /// Containers there are beside those that were read.
    pub left_out: usize,
}

impl Groups {
    pub(crate) fn new(paths: Arc<Paths>) -> Self {
        Self { reader: Reader::new(paths.clone()), paths, layered: HashMap::new(), limits: HashMap::new() }
    }

    /// Reads the containers with the most memory, and our own group.
    pub(crate) fn read(&mut self, top: usize) -> Round {
        let trees = Trees::find(&self.paths.sys);
        self.limits.clear();
        let walked = match &trees {
            Trees::V2(root) => Some(root),
            Trees::V1(trees) => ["memory", "cpuacct", "pids"].iter().find_map(|name| trees.get(name)),
            Trees::None => None,
        };
        let mut found = walked.map(|root| discover(root)).unwrap_or_default();
        let all = found.len();
        if all > top {
            // One file each tells which have the most.
            let mut sized: Vec<(f64, Found)> = found
                .into_iter()
                .map(|found| (self.memory(&trees, &found.path).unwrap_or(0.0), found))
                .collect();
            sized.sort_by(|a, b| b.0.total_cmp(&a.0));
            found = sized.into_iter().take(top).map(|(_, found)| found).collect();
        }
        let mut groups: Vec<Group> = Vec::with_capacity(found.len() + 1);
        for found in &found {
            let path = found.path.clone();
            let usage = self.usage(&trees, |_| path.clone());
            groups.push(Group { id: found.id.clone(), name: found.name.clone(), usage });
        }
        groups.extend(self.ours(&trees, &found));
        Round { trees, groups, left_out: all.saturating_sub(top) }
    }

    fn usage(&mut self, trees: &Trees, path: impl Fn(&str) -> String) -> Usage {
        let mut usage = match trees {
            Trees::V2(root) => v2::usage(self, root, &path("")),
            Trees::V1(trees) => v1::usage(self, trees, path),
            Trees::None => Usage::default(),
        };
        usage.memory_limit = usage.memory_limit.filter(|limit| *limit < NO_LIMIT);
        usage
    }

    fn memory(&mut self, trees: &Trees, path: &str) -> Option<f64> {
        match trees {
            Trees::V2(root) => self.number(&join(root, path), "memory.current"),
            Trees::V1(trees) => self.number(&join(trees.get("memory")?, path), "memory.usage_in_bytes"),
            Trees::None => None,
        }
    }

    /// The group that this program runs in, unless it is that of a container listed already or the whole machine's.
    fn ours(&mut self, trees: &Trees, found: &[Found]) -> Option<Group> {
        let text = self.reader.text(&format!("{}/self/cgroup", self.paths.proc)).ok()?.into_owned();
        let mut paths: HashMap<String, String> = HashMap::new();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            // Version 2 has no controllers here.
            paths.extend(controllers.split(',').map(|controller| (controller.to_owned(), path.to_owned())));
        }
        let is_in = |path: &str, group: &str| {
            path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_listed = |path: &str| found.iter().any(|found| is_in(path, &found.path));
        let of = |controller: &str, tree: &Path| -> Option<String> {
            let path = paths.get(controller)?.trim_end_matches('/');
            // In a container the tree begins at its own group, and the path may be that of the machine.
            let path = if join(tree, path).is_dir() { path } else { "" };
            (!is_listed(path)).then(|| path.to_owned())
        };
        let usage = match trees {
            Trees::V2(root) => {
                let path = of("", root)?;
                // The group of the whole machine has no such file.
                if !join(root, &path).join("memory.current").exists() {
                    return None;
                }
                self.usage(trees, |_| path.clone())
            }
            Trees::V1(by_controller) => {
                // A controller may leave us in the machine's own group, which says nothing of us.
                let is_machine = |controller: &str| paths.get(controller).is_none_or(|path| path == "/");
                let ours = by_controller.iter().filter(|(controller, _)| !is_machine(controller));
                let known: HashMap<&'static str, (PathBuf, String)> = ours
                    .filter_map(|(controller, tree)| {
                        Some((*controller, (tree.clone(), of(controller, tree)?)))
                    })
                    .collect();
                known.get("memory")?;
                let trees = known.iter().map(|(controller, (tree, _))| (*controller, tree.clone())).collect();
                let path = |controller: &str| {
                    known.get(controller).map(|(_, path)| path.clone()).unwrap_or_default()
                };
                self.usage(&Trees::V1(trees), path)
            }
            Trees::None => return None,
        };
        Some(Group { id: OURS.to_owned(), name: OURS.to_owned(), usage })
    }

    /// A file of a group.
    pub(super) fn text(&mut self, group: &Path, file: &str) -> Option<String> {
        let path = group.join(file);
        self.reader.text(path.to_str()?).ok().map(std::borrow::Cow::into_owned)
    }

    /// A number in a file of a group; `max` is none.
    pub(super) fn number(&mut self, group: &Path, file: &str) -> Option<f64> {
        let path = group.join(file);
        proc::number(&self.reader.text(path.to_str()?).ok()?)
    }

    /// The smallest of a limit over a group and those above it.
    pub(super) fn smallest(
        &mut self,
        root: &Path,
        path: &str,
        file: &str,
        read: fn(&mut Self, &Path) -> Option<f64>,
    ) -> Option<f64> {
        let mut smallest: Option<f64> = None;
        let mut at = Some(path);
        while let Some(path) = at {
            let group = join(root, path);
            let key = group.join(file);
            let limit = match self.limits.get(&key) {
                Some(known) => *known,
                None => {
                    let limit = read(self, &group);
                    self.limits.insert(key, limit);
                    limit
                }
            };
            smallest = match (smallest, limit) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            at = path.rsplit_once('/').map(|(above, _)| above);
        }
        smallest
    }

    /// Whether a device, by its numbers, is made of others or of memory.
    pub(super) fn is_layered(&mut self, device: &str) -> bool {
        if let Some(known) = self.layered.get(device) {
            return *known;
        }
        let link = fs::read_link(format!("{}/dev/block/{device}", self.paths.sys));
        let layered = link.is_ok_and(|link| link.components().any(|part| part.as_os_str() == "virtual"));
        if self.layered.len() < 1000 {
            self.layered.insert(device.to_owned(), layered);
        }
        layered
    }

    /// Bytes received and sent by the processes of a group, unless they share the machine's network.
    pub(super) fn network(&mut self, group: &Path) -> Option<(f64, f64)> {
        let first = self.number(group, "cgroup.procs")?;
        let process = format!("{}/{first}", self.paths.proc);
        let network = |process: &str| fs::read_link(format!("{process}/ns/net")).ok();
        let own = network(&process)?;
        if network(&format!("{}/1", self.paths.proc)).is_none_or(|machine| machine == own) {
            return None;
        }
        let text = self.reader.text(&format!("{process}/net/dev")).ok()?;
        let interfaces = proc::interfaces(&text, |name| name != "lo");
        Some(interfaces.iter().fold((0.0, 0.0), |(received, sent), interface| {
            (received + interface.received.bytes, sent + interface.sent.bytes)
        }))
    }
}

/// A path of a group below the root of its tree.
pub(super) fn join(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
