//! One session that the probes of a monitor use in turn.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use wise_core::{Failure, async_trait};

use crate::stages::Stages;

/// How long a probe waits for the kept session: while another one uses it, and until it answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// A session that can be used again. Dropped, it is closed without a goodbye.
#[async_trait]
pub trait Reusable: Send + Sized {
    /// Whether the connection stands, as far as this side knows.
    fn is_open(&self) -> bool;

    /// Whether the server still answers: the session may be half-open.
    async fn answers(&mut self) -> bool;

    /// Says goodbye.
    async fn close(self);
}

/// The place of the session between two checks.
#[derive(Debug)]
pub struct Keep<S>(Mutex<Option<S>>);

impl<S> Default for Keep<S> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<S: Reusable> Keep<S> {
    /// The kept session, or the one that `login` makes; `None` when that makes none. Logging in costs more than most
    /// probes: they wait for each other for a moment before one logs in for itself. Give the session back with
    /// [`Kept::keep`] after success; dropped, it is closed.
    ///
    /// # Errors
    /// The login fails.
    pub async fn take(
        &self,
        stages: &mut Stages,
        login: impl AsyncFnOnce(&mut Stages) -> Result<Option<S>, Failure> + Send,
    ) -> Result<Option<Kept<'_, S>>, Failure> {
        let mut slot = tokio::time::timeout(PATIENCE, self.0.lock()).await.ok();
        let known = slot.as_mut().and_then(|slot| slot.take()).filter(S::is_open);
        if let Some(mut session) = known {
            stages.begin("ping");
            if let Ok(true) = tokio::time::timeout(PATIENCE, session.answers()).await {
                stages.end();
                return Ok(Some(Kept { session, slot }));
            }
        }
        Ok(login(stages).await?.map(|session| Kept { session, slot }))
    }
}

/// A session that is kept for the next check if all goes well.
#[derive(Debug)]
pub struct Kept<'a, S> {
    session: S,
    /// `None` when another probe holds it.
    slot: Option<MutexGuard<'a, Option<S>>>,
}

impl<S> Deref for Kept<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}

impl<S> DerefMut for Kept<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.session
    }
}

impl<S: Reusable> Kept<'_, S> {
    /// Keeps the session, or closes a surplus one.
    pub async fn keep(self) {
        match self.slot {
            Some(mut slot) => *slot = Some(self.session),
            None => self.session.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Log {
        logins: AtomicUsize,
        closed: AtomicUsize,
        is_mute: AtomicBool,
    }

    #[derive(Debug)]
    struct Session(Arc<Log>);

    #[async_trait]
    impl Reusable for Session {
        fn is_open(&self) -> bool {
            true
        }

        async fn answers(&mut self) -> bool {
            if self.0.is_mute.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            true
        }

        async fn close(self) {
            self.0.closed.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_used_again_while_it_answers_and_a_surplus_one_is_closed() {
        let (log, keep) = (Arc::new(Log::default()), Keep::default());
        let stages = || Stages::default();
        let take = async |stages: &mut Stages| {
            let log = log.clone();
            let login = async move |_: &mut Stages| {
                log.logins.fetch_add(1, Ordering::Relaxed);
                Ok(Some(Session(log)))
            };
            keep.take(stages, login).await.unwrap().unwrap()
        };
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        take(&mut stages()).await.keep().await;
        let held = take(&mut stages()).await;
        assert_eq!(count(&log.logins), 1);
        let second = take(&mut stages()).await;
        assert_eq!(count(&log.logins), 2, "one that waited long enough logs in for itself");
        held.keep().await;
        second.keep().await;
        assert_eq!(count(&log.closed), 1);
        log.is_mute.store(true, Ordering::Relaxed);
        take(&mut stages()).await.keep().await;
        assert_eq!(count(&log.logins), 3, "one that does not answer is replaced");
    }
}
