//! Asks filesystems for their sizes, behind a watchdog: one whose server is gone keeps anyone who asks waiting in the
//! kernel, and no signal and no runtime gets that thread back.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::machine::{Answer, Mount, Space};

/// How long a filesystem may take.
const PATIENCE: Duration = Duration::from_secs(5);
const STACK: usize = 64 << 10;

/// Asks one filesystem. Given as a function so that a test can have one that never answers.
pub(crate) type Ask = Arc<dyn Fn(&Path) -> std::io::Result<Space> + Send + Sync>;

/// Asks filesystems, each on a thread of its own, and none again whose thread has not come back.
#[derive(Clone)]
pub(crate) struct Watchdog {
    ask: Ask,
    root: PathBuf,
    away: Arc<Mutex<HashSet<String>>>,
}

impl Watchdog {
    /// Asks with statvfs, for mount points below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self::with(root, Arc::new(ask))
    }

    pub(crate) fn with(root: &Path, ask: Ask) -> Self {
        Self { ask, root: root.to_owned(), away: Arc::default() }
    }

    /// The answers, in the order of the mounts.
    pub(crate) async fn ask(&self, mounts: &[Mount], timeout: Duration) -> Vec<Answer> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut answers = vec![None; mounts.len()];
        let mut waiting = 0_usize;
        for (index, mount) in mounts.iter().enumerate() {
            if !self.locked().insert(mount.point.clone()) {
                answers[index] = Some(Answer::Stale);
                continue;
            }
            let path = if mount.path.as_os_str().is_empty() { Path::new(&mount.point) } else { &mount.path };
            let path = self.root.join(path.strip_prefix("/").unwrap_or(path));
            let (ask, away, point, sender) =
                (self.ask.clone(), self.away.clone(), mount.point.clone(), sender.clone());
            let thread =
                std::thread::Builder::new().name("statvfs".to_owned()).stack_size(STACK).spawn(move || {
                    let answer = ask(&path);
                    away.lock().unwrap_or_else(PoisonError::into_inner).remove(&point);
                    // No one listens any more when it took too long.
                    sender.send((index, answer)).ok();
                });
            match thread {
                Ok(_) => waiting += 1,
                Err(error) => {
                    self.locked().remove(&mount.point);
                    answers[index] = Some(Answer::Refused(format!("no thread: {error}")));
                }
            }
        }
        let until = Instant::now() + timeout.min(PATIENCE);
        while waiting > 0 {
            let Ok(Some((index, answer))) = tokio::time::timeout_at(until, receiver.recv()).await else {
                break;
            };
            waiting -= 1;
            answers[index] = Some(match answer {
                Ok(space) => Answer::Space(space),
                // What a network filesystem says whose server has lost it.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::STALE.raw_os_error()) => {
                    Answer::Stale
                }
                Err(error) => Answer::Refused(error.to_string()),
            });
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Answer::Stale)).collect()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").field("away", &self.locked().len()).finish_non_exhaustive()
    }
}

fn ask(path: &Path) -> std::io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    let block = found.f_frsize as f64;
    Ok(Space {
        size: found.f_blocks as f64 * block,
        free: found.f_bfree as f64 * block,
        available: found.f_bavail as f64 * block,
        inodes: found.f_files as f64,
        free_inodes: found.f_ffree as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc as blocking;

    fn mount(point: &str) -> Mount {
        Mount { point: point.to_owned(), ..Mount::default() }
    }

    #[tokio::test]
    async fn a_filesystem_that_hangs_is_stale_and_keeps_one_thread() {
        let (release, held) = blocking::channel::<()>();
        let held = Mutex::new(held);
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let watchdog = Watchdog::with(
            Path::new("/"),
            Arc::new(move |path| {
                if path == Path::new("/hung") {
                    counter.fetch_add(1, Ordering::SeqCst);
                    held.lock().unwrap().recv().ok();
                }
                Ok(Space { size: 5.0, ..Space::default() })
            }),
        );
        let mounts = [mount("/hung"), mount("/fine")];
        let fine = Answer::Space(Space { size: 5.0, ..Space::default() });
        let started = Instant::now();
        for round in 0..3 {
            let answers = watchdog.ask(&mounts, Duration::from_millis(100)).await;
            assert_eq!(answers, [Answer::Stale, fine.clone()], "round {round}");
        }
        assert!(started.elapsed() < Duration::from_secs(2));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "it was not asked again while its thread is away");
        drop(release);
        while !watchdog.locked().is_empty() {
            tokio::task::yield_now().await;
        }
        let answers = watchdog.ask(&mounts, PATIENCE).await;
        assert_eq!(answers, [fine.clone(), fine], "it answers again");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn real_ones_answer_and_a_missing_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let watchdog = Watchdog::new(folder.path());
        let answers = watchdog.ask(&[mount("/"), mount("/missing")], PATIENCE).await;
        assert!(matches!(answers[0], Answer::Space(space) if space.size > 0.0), "{answers:?}");
        assert!(matches!(answers[1], Answer::Refused(_)), "{answers:?}");
    }
}
