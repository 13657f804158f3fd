//! What the settings become: a machine with a source.

use std::sync::Arc;

use wise_core::{BuildContext, FieldError, FieldErrors, Masker, Monitor, Past, Probe};
use wise_net::Net;

use crate::config::{Filesystems, ServerSettings, default_proc, default_root, default_sys};
use crate::exporter::Exporter;
use crate::filter::Filter;
use crate::local::Paths;
use crate::machine::Mount;
use crate::probes;
use crate::statvfs::Watchdog;

/// A configured machine.
#[derive(Debug)]
pub(crate) struct Server {
    pub source: Source,
    pub filesystems: Mounts,
    pub disks: Filter,
    pub interfaces: Filter,
    pub containers: Option<Containers>,
    pub past: Option<Past>,
    pub net: Arc<Net>,
}

/// Where the machine's numbers come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The files of this machine.
    Local { paths: Arc<Paths>, watchdog: Watchdog },
    /// The page of an exporter.
    Exporter(Box<Exporter>),
}

/// Settings for containers.
#[derive(Clone, Debug)]
pub(crate) struct Containers {
    pub docker_socket: Option<String>,
    pub top: usize,
}

/// Which filesystems are watched.
#[derive(Clone, Debug)]
pub(crate) struct Mounts {
    points: Filter,
    types: Filter,
}

impl Mounts {
    pub(crate) fn new(settings: &Filesystems) -> Self {
        Self {
            points: Filter::new(&settings.include, &settings.exclude),
            types: Filter::new(&[], &settings.exclude_types),
        }
    }

    /// Whether a mount is watched. The root is, whatever its type: in a container it is an overlay.
    pub(crate) fn allows(&self, mount: &Mount) -> bool {
        self.points.allows(&mount.point)
            && (mount.point == "/" || self.points.names(&mount.point) || self.types.allows(&mount.kind))
    }
}

impl Server {
    pub(crate) fn new(settings: ServerSettings, cx: &BuildContext) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let net = Net::shared(cx);
        let paths = [
            ("proc_path", &settings.proc_path, default_proc()),
            ("sys_path", &settings.sys_path, default_sys()),
            ("rootfs_path", &settings.rootfs_path, default_root()),
        ];
        for (field, path, default) in &paths {
            if !path.starts_with('/') {
                errors.push(
                    FieldError::new(*field, "is no absolute path").value(path).hint("begin it with a slash"),
                );
            } else if settings.node_exporter.is_some() && *path != default {
                errors.push(FieldError::new(*field, "has no effect beside node_exporter").hint("remove it"));
            }
        }
        let containers = &settings.containers;
        if !(1..=500).contains(&containers.top) {
            errors.push(
                FieldError::new("containers.top", "out of range")
                    .value(containers.top)
                    .hint("use a number from 1 to 500"),
            );
        }
        if let Some(socket) = &containers.docker_socket {
            let field = "containers.docker_socket";
            if !socket.starts_with('/') {
                let error = FieldError::new(field, "is no absolute path").value(socket);
                errors.push(error.hint("use a path such as /var/run/docker.sock"));
            } else if settings.node_exporter.is_some() {
                errors.push(FieldError::new(field, "has no effect beside node_exporter").hint("remove it"));
            }
        }
        let exporter = settings.node_exporter.as_deref();
        let exporter = exporter.map(|url| Exporter::new(url, &settings.tls, net.clone())).transpose();
        let exporter = exporter.unwrap_or_else(|wrong| {
            errors.0.extend(wrong.0);
            None
        });
        errors.into_result()?;
        let is_local = exporter.is_none();
        let source = match exporter {
            Some(exporter) => Source::Exporter(Box::new(exporter)),
            None => {
                let paths = Paths::new(&settings.proc_path, &settings.sys_path, &settings.rootfs_path);
                Source::Local { watchdog: Watchdog::new(&paths.root), paths: Arc::new(paths) }
            }
        };
        Ok(Self {
            source,
            filesystems: Mounts::new(&settings.filesystems),
            disks: Filter::new(&settings.disks.include, &settings.disks.exclude),
            interfaces: Filter::new(&settings.interfaces.include, &settings.interfaces.exclude),
            containers: (containers.enabled && is_local).then(|| Containers {
                docker_socket: containers.docker_socket.clone(),
                top: usize::try_from(containers.top).unwrap_or(100),
            }),
            past: cx.past(),
            net,
        })
    }

    /// Takes the password of the exporter out of texts.
    pub(crate) fn masker(&self) -> Masker {
        match &self.source {
            Source::Local { .. } => Masker::default(),
            Source::Exporter(exporter) => exporter.masker().clone(),
        }
    }
}

/// The monitor: a machine that its probes share.
#[derive(Debug)]
pub(crate) struct ServerMonitor(Arc<Server>);

impl ServerMonitor {
    pub(crate) fn new(settings: ServerSettings, cx: &BuildContext) -> Result<Self, FieldErrors> {
        Ok(Self(Arc::new(Server::new(settings, cx)?)))
    }
}

impl Monitor for ServerMonitor {
    fn probe(&self, name: &str) -> Option<Box<dyn Probe>> {
        probes::make(name, &self.0)
    }

    fn has_work(&self, probe: &str) -> bool {
        probe != probes::CONTAINERS || self.0.containers.is_some()
    }

    fn host(&self) -> Option<&str> {
        match &self.0.source {
            Source::Local { .. } => None,
            Source::Exporter(exporter) => exporter.host(),
        }
    }
}
