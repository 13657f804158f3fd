//! Filesystems.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;
use wise_core::{CheckContext, Failure, Probe, Report};

use super::{fetch_evidence, local_evidence, mask};
use crate::background::Background;
use crate::local::Reader;
use crate::machine::{Answer, Mount};
use crate::storage::{Storage, select};
use crate::target::{Server, Source};

/// Left of the deadline for what comes after the filesystems have answered.
const RESERVE: Duration = Duration::from_millis(300);
/// Share used from which the filesystems are written down.
const FULL: f64 = 0.9;

pub(crate) struct StorageProbe {
    server: Arc<Server>,
    storage: Storage,
    reader: Option<Background<Reader, Result<Vec<Mount>, Failure>>>,
}

impl StorageProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let reader = match &server.source {
            Source::Local { paths, .. } => {
                let paths = paths.clone();
                Some(Background::new(move || Reader::new(paths.clone())))
            }
            Source::Exporter(_) => None,
        };
        let storage = Storage::new(server.past.clone());
        Self { server, storage, reader }
    }

    async fn filesystems(
        &mut self,
        cx: &CheckContext,
        until: Instant,
        report: &mut Report,
    ) -> Option<(Vec<(Mount, Answer)>, usize)> {
        let server = self.server.clone();
        match &server.source {
            Source::Local { watchdog, .. } => {
                report.local = true;
                let reader = self.reader.as_mut()?;
                let mounts = match reader.run(cx.timeout, Reader::mounts).await {
                    Ok(Ok(mounts)) => mounts,
                    Ok(Err(failure)) | Err(failure) => {
                        report.evidence = Some(local_evidence(&server, &failure));
                        report.failure = Some(failure);
                        return None;
                    }
                };
                let (mounts, left_out) = select(mounts, &server.filesystems);
                let answers = watchdog.ask(&mounts, until.saturating_duration_since(Instant::now())).await;
                Some((mounts.into_iter().zip(answers).collect(), left_out))
            }
            Source::Exporter(exporter) => {
                let fetched = exporter.page(cx.timeout, true).await;
                report.local = fetched.local;
                if fetched.result.is_err() || cx.detailed {
                    report.evidence = Some(fetch_evidence(&server, &fetched));
                }
                match fetched.result {
                    Ok(page) => {
                        let mounts = page.filesystems.iter().map(|(mount, _)| mount.clone());
                        let (mounts, left_out) = select(mounts, &server.filesystems);
                        let answer = |mount: Mount| {
                            let space = page.filesystems.iter().find(|(known, _)| *known == mount);
                            let answer = match space.and_then(|(_, space)| *space) {
                                Some(space) => Answer::Space(space),
                                // The exporter's word for both a hung server and a missing right.
                                None if is_remote(&mount.kind) => Answer::Stale,
                                None => Answer::Refused("the exporter could not read it".to_owned()),
                            };
                            (mount, answer)
                        };
                        Some((mounts.into_iter().map(answer).collect(), left_out))
                    }
                    Err(failure) => {
                        report.failure = Some(failure);
                        None
                    }
                }
            }
        }
    }
}

/// Whether a filesystem lives on another machine.
fn is_remote(kind: &str) -> bool {
    ["nfs", "cifs", "smb", "ceph", "gluster", "fuse", "9p", "afs", "lustre", "beegfs"]
        .iter()
        .any(|name| kind.starts_with(name))
}

#[async_trait]
impl Probe for StorageProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let started = Instant::now();
        let mut report = Report::default();
        let until = started + cx.timeout.saturating_sub(RESERVE);
        if let Some((filesystems, left_out)) = self.filesystems(cx, until, &mut report).await {
            // Growth may ask the store for history at the first check; without it, it starts again.
            let mut shown = Vec::new();
            let read = self.storage.read(cx.now, &filesystems, left_out, &mut report);
            if let Ok(lines) = tokio::time::timeout_at(started + cx.timeout, read).await {
                shown = lines;
            }
            let is_news = shown.iter().any(|line| {
                line["error"].is_string() || line["used_ratio"].as_f64().is_some_and(|used| used >= FULL)
            });
            if cx.detailed || is_news {
                report.evidence.get_or_insert_with(|| json!({}))["filesystems"] = json!(shown);
            }
        }
        mask(&self.server, &mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Space;
    use crate::statvfs::Watchdog;
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::mpsc;
    use wise_core::{BuildContext, Clock, SecretLookup, SystemClock};

    struct NoSecrets;

    impl SecretLookup for NoSecrets {
        fn env(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Err("there are none".to_owned())
        }
    }

    #[tokio::test]
    async fn a_mount_that_hangs_is_told_of_within_the_deadline_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("self")).unwrap();
        let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /net rw - nfs4 host:/x rw\n";
        std::fs::write(folder.path().join("self/mountinfo"), mounts).unwrap();
        let settings = serde_json::from_value(json!({"proc_path": folder.path().to_str().unwrap()})).unwrap();
        let mut server = Server::new(settings, &BuildContext::new(Arc::new(NoSecrets))).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let Source::Local { watchdog, .. } = &mut server.source else { panic!("it is local") };
        *watchdog = Watchdog::with(
            Path::new("/"),
            Arc::new(move |path| {
                if path == Path::new("/net") {
                    held.lock().unwrap().recv().ok();
                }
                Ok(Space { size: 10.0, free: 5.0, available: 5.0, ..Space::default() })
            }),
        );
        let server = Arc::new(server);
        // A probe that was thrown away and made again knows of the thread that is away.
        for _ in 0..2 {
            let started = Instant::now();
            let timeout = Duration::from_millis(800);
            let cx = CheckContext { timeout, now: SystemClock.now(), detailed: false };
            let report = StorageProbe::new(server.clone()).check(&cx).await;
            assert!(started.elapsed() < timeout);
            assert_eq!(report.failure, None);
            let at = |name: &str, mount: &str| {
                let mut all = report.readings.iter();
                let found = all
                    .find(|r| r.metric.name() == name && r.labels.pairs().iter().any(|pair| pair.1 == mount));
                found.and_then(|reading| reading.value.number())
            };
            assert_eq!(at("server.filesystem.stale_state", "/net"), Some(1.0));
            assert_eq!(at("server.filesystem.used_ratio", "/net"), None);
            assert_eq!(at("server.filesystem.used_ratio", "/"), Some(0.5));
            assert!(report.evidence.unwrap().to_string().contains("stale"));
        }
        drop(release);
    }
}
