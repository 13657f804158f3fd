//! The settings of a server monitor. The doc comments are the documentation that users read.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wise_core::{BuildContext, FieldErrors, Monitor, MonitorSettings};

use crate::target::ServerMonitor;

/// Which machine to watch, and what of it. Without any setting: the machine that this program runs on. Not `Debug`: the
/// URL may hold a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Address of the node_exporter of another machine. A user name and password in it are sent as basic
    /// authentication. Without it, the machine that this program runs on is watched.
    #[serde(default)]
    #[schemars(title = "node_exporter", extend("x-wise" = "url", "format" = "uri", "examples" = ["http://10.0.0.5:9100/metrics"]))]
    pub node_exporter: Option<String>,
    /// How to treat the certificate of a node_exporter over https.
    #[serde(default)]
    #[schemars(title = "TLS", extend("x-wise-group" = "TLS"))]
    pub tls: Tls,
    /// Which filesystems to watch.
    #[serde(default)]
    #[schemars(title = "Filesystems", extend("x-wise-group" = "Filters"))]
    pub filesystems: Filesystems,
    /// Which disks to watch, by name such as `sda`.
    #[serde(default)]
    #[schemars(title = "Disks", extend("x-wise-group" = "Filters"))]
    pub disks: Disks,
    /// Which network interfaces to watch, by name such as `eth0`.
    #[serde(default)]
    #[schemars(title = "Network interfaces", extend("x-wise-group" = "Filters"))]
    pub interfaces: Interfaces,
    /// Containers on this machine.
    #[serde(default)]
    #[schemars(title = "Containers", extend("x-wise-group" = "Containers"))]
    pub containers: Containers,
    /// Where the machine's /proc is mounted, for running in a container.
    #[serde(default = "default_proc")]
    #[schemars(title = "Path of /proc", extend("x-wise-group" = "Paths"))]
    pub proc_path: String,
    /// Where the machine's /sys is mounted, for running in a container.
    #[serde(default = "default_sys")]
    #[schemars(title = "Path of /sys", extend("x-wise-group" = "Paths"))]
    pub sys_path: String,
    /// Where the machine's root is mounted, for running in a container.
    #[serde(default = "default_root")]
    #[schemars(title = "Path of the root", extend("x-wise-group" = "Paths"))]
    pub rootfs_path: String,
}

/// TLS settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Refuse certificates that are expired, for another host, or signed by no one we trust.
    #[serde(default = "default_true")]
    #[schemars(title = "Verify certificates")]
    pub verify: bool,
    /// PEM file with the certificates to trust instead of the system's.
    #[serde(default)]
    #[schemars(title = "CA file")]
    pub ca_file: Option<String>,
}

/// Which filesystems to watch. In patterns `*` stands for any text.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filesystems {
    /// Mount points to watch whatever the lists below say. When empty, all that are not excluded.
    #[serde(default)]
    #[schemars(title = "Include", extend("examples" = [["/", "/srv/*"]]))]
    pub include: Vec<String>,
    /// Mount points to leave out.
    #[serde(default = "default_excluded_mounts")]
    #[schemars(title = "Exclude")]
    pub exclude: Vec<String>,
    /// Types to leave out. The root is watched whatever its type.
    #[serde(default = "default_excluded_types")]
    #[schemars(title = "Exclude types")]
    pub exclude_types: Vec<String>,
}

/// Which disks to watch. In patterns `*` stands for any text.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disks {
    /// Disks to watch whatever the list below says. When empty, all that are not excluded.
    #[serde(default)]
    #[schemars(title = "Include")]
    pub include: Vec<String>,
    /// Disks to leave out. By default those that show the same requests a second time, and those in memory.
    #[serde(default = "default_excluded_disks")]
    #[schemars(title = "Exclude")]
    pub exclude: Vec<String>,
}

/// Which network interfaces to watch. In patterns `*` stands for any text.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interfaces {
    /// Interfaces to watch whatever the list below says. When empty, all that are not excluded.
    #[serde(default)]
    #[schemars(title = "Include")]
    pub include: Vec<String>,
    /// Interfaces to leave out. By default the loopback one and those of containers.
    #[serde(default = "default_excluded_interfaces")]
    #[schemars(title = "Exclude")]
    pub exclude: Vec<String>,
}

/// Containers on the machine itself; an exporter tells nothing of them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Containers {
    /// Watch containers by their control groups.
    #[serde(default = "default_true")]
    #[schemars(title = "Watch containers")]
    pub enabled: bool,
    /// Socket of Docker, for names, states, restarts, health and sizes. Anyone who may use it is as good as root, so put a
    /// proxy before it that only lets reads through; this program only reads.
    #[serde(default)]
    #[schemars(title = "Docker socket", extend("examples" = ["/var/run/docker.sock"]))]
    pub docker_socket: Option<String>,
    /// How many containers to watch, those with the most memory first.
    #[serde(default = "default_top")]
    #[schemars(title = "Containers at most", range(min = 1, max = 500))]
    pub top: u32,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, ca_file: None }
    }
}

impl Default for Filesystems {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: default_excluded_mounts(),
            exclude_types: default_excluded_types(),
        }
    }
}

impl Default for Disks {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: default_excluded_disks() }
    }
}

impl Default for Interfaces {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: default_excluded_interfaces() }
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self { enabled: true, docker_socket: None, top: default_top() }
    }
}

fn default_true() -> bool {
    true
}

fn default_top() -> u32 {
    100
}

pub(crate) fn default_proc() -> String {
    "/proc".to_owned()
}

pub(crate) fn default_sys() -> String {
    "/sys".to_owned()
}

pub(crate) fn default_root() -> String {
    "/".to_owned()
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn default_excluded_mounts() -> Vec<String> {
    words(
        "/dev /dev/* /proc /proc/* /sys /sys/* /run/user/* /run/credentials/* /run/containerd/* /var/lib/docker/* \
         /var/lib/containers/storage/* /var/lib/kubelet/* /snap/*",
    )
}

fn default_excluded_types() -> Vec<String> {
    words(
        "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs erofs fuse.gvfsd-fuse \
         fuse.lxcfs fuse.portal fuse.snapfuse fuse.squashfuse fusectl hugetlbfs iso9660 mqueue nsfs overlay proc pstore ramfs rpc_pipefs securityfs \
         selinuxfs squashfs sysfs tracefs udf",
    )
}

fn default_excluded_disks() -> Vec<String> {
    words("dm-* drbd* fd* loop* md* nvme*c*n* ram* sr* zram*")
}

fn default_excluded_interfaces() -> Vec<String> {
    words(
        "lo br-* cali* cilium* cni* docker* dummy* flannel* ifb* kube-* lxc* nodelocaldns veth* virbr* vnet*",
    )
}

impl MonitorSettings for ServerSettings {
    fn example() -> Value {
        json!({})
    }

    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        Ok(Arc::new(ServerMonitor::new(self, cx)?))
    }
}
