//! A disk that is soon full.

use std::path::Path;
use std::process::Command;

use crate::service::{chown, try_run};

/// A small file system in memory. Needs the right to mount.
#[derive(Debug)]
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of so many megabytes for a user; `None` where this process may not mount.
    ///
    /// # Panics
    /// There is no room for its folder.
    pub fn mount(megabytes: u32, owner: &str) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("the folder's mode can be set");
        let size = format!("size={megabytes}m");
        let mounting = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "wise-testbed"])
            .arg(folder.path())
            .status();
        if !mounting.is_ok_and(|status| status.success()) {
            eprintln!("this process may not mount: what needs a full disk is not tried");
            return None;
        }
        chown(folder.path(), owner);
        Some(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        try_run(Command::new("umount").arg("-l").arg(self.0.path())).ok();
    }
}
