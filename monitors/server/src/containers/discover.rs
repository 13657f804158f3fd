//! Which control groups are containers, by the names that the runtimes give them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Folders looked into; beyond this a tree is no longer one of services and containers.
const MAX_FOLDERS: usize = 4000;
const MAX_DEPTH: usize = 12;
/// Groups found at most.
const MAX_FOUND: usize = 2000;

/// A group of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The runtime's id, or the path where the runtime gives a name: two users may have containers of one name.
    pub id: String,
    pub name: String,
    /// Below the root of the tree, with a slash before it.
    pub path: String,
}

/// Looks for containers below the root of a tree. Groups inside of a container are not looked at.
pub(crate) fn discover(root: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut left = vec![(String::new(), 0_usize)];
    let mut looked = 0;
    while let Some((path, depth)) = left.pop() {
        looked += 1;
        if looked > MAX_FOLDERS || found.len() >= MAX_FOUND {
            break;
        }
        let Ok(entries) = fs::read_dir(root.join(path.trim_start_matches('/'))) else { continue };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let Ok(name) = entry.file_name().into_string() else { continue };
            let parent = path.rsplit('/').next().unwrap_or_default();
            let inside = format!("{path}/{name}");
            match container(&name, parent) {
                Some(name) if is_long_id(&name) => {
                    found.push(Found { name: name[..12].to_owned(), id: name, path: inside });
                }
                Some(name) => found.push(Found { id: inside.clone(), name, path: inside }),
                // A folder with two links has no folders in it, which is true of nearly all: most of the work is saved.
                None if depth < MAX_DEPTH && entry.metadata().is_ok_and(|found| found.nlink() != 2) => {
                    left.push((inside, depth + 1));
                }
                None => {}
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    // The same container may have groups in two places: the first by path stands for it.
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert(found.id.clone()));
    found
}

/// The id or the name of the container that a folder's name tells of.
fn container(name: &str, parent: &str) -> Option<String> {
    if is_long_id(name) {
        return Some(name.to_owned());
    }
    if let Some(scope) = name.strip_suffix(".scope") {
        // `libpod-conmon-…` and the like have two dashes: the id is behind the last one and must be all that follows
        // the runtime's name.
        for runtime in ["docker", "cri-containerd", "crio", "libpod", "podman", "containerd", "nerdctl"] {
            let id = scope.strip_prefix(runtime).and_then(|rest| rest.strip_prefix('-'));
            if let Some(id) = id.filter(|id| is_long_id(id)) {
                return Some(id.to_owned());
            }
        }
    }
    if let Some(name) = name.strip_prefix("lxc.payload.").or_else(|| (parent == "lxc").then_some(name)) {
        return Some(name.to_owned()).filter(|name| !name.is_empty() && name != "lxc.monitor");
    }
    let machine = name.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
    machine.filter(|machine| !machine.is_empty()).map(str::to_owned)
}

/// Whether a text is the id of a container: 64 hexadecimal digits.
pub(crate) fn is_long_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_runtimes() {
        let id = "0123456789abcdef".repeat(4);
        for name in [
            id.clone(),
            format!("docker-{id}.scope"),
            format!("cri-containerd-{id}.scope"),
            format!("crio-{id}.scope"),
            format!("libpod-{id}.scope"),
        ] {
            assert_eq!(container(&name, "x"), Some(id.clone()), "{name}");
        }
        for name in [
            "docker.service".to_owned(),
            format!("libpod-conmon-{id}.scope"),
            format!("crio-conmon-{id}.scope"),
            format!("docker-{}.scope", &id[..12]),
            "kubepods-burstable.slice".to_owned(),
            "lxc.monitor.web".to_owned(),
            format!("{}Z", &id[..63]),
        ] {
            assert_eq!(container(&name, "system.slice"), None, "{name}");
        }
        assert_eq!(container("web", "lxc").as_deref(), Some("web"));
        assert_eq!(container("lxc.payload.web", "").as_deref(), Some("web"));
        assert_eq!(container("systemd-nspawn@db.service", "machine.slice").as_deref(), Some("db"));
    }

    #[test]
    fn a_tree_is_walked_and_containers_are_not_entered() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        for path in [
            format!("system.slice/docker-{one}.scope/inner/{two}"),
            "system.slice/ssh.service".to_owned(),
            format!(
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{two}.scope"
            ),
        ] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let found: Vec<_> = discover(folder.path()).into_iter().map(|found| found.id).collect();
        assert_eq!(found, [two, one]);
        assert_eq!(discover(&folder.path().join("missing")), []);
    }

    #[test]
    fn containers_of_one_name_that_two_users_have_are_two() {
        let folder = tempfile::tempdir().unwrap();
        let of = |user: &str| format!("/user.slice/user-{user}.slice/lxc.payload.web");
        for path in [of("1000"), of("1001")] {
            fs::create_dir_all(folder.path().join(&path[1..])).unwrap();
        }
        let found: Vec<_> = discover(folder.path()).into_iter().map(|found| (found.id, found.name)).collect();
        assert_eq!(found, [(of("1000"), "web".to_owned()), (of("1001"), "web".to_owned())]);
    }
}
