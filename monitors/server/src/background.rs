//! Blocking work with state that is kept between checks.

use std::time::Duration;

use tokio::task::JoinHandle;
use wise_core::{Failure, common};

use crate::error::SOURCE_UNREADABLE;

/// State that is background to a blocking thread for each piece of work. While the thread has not come back, as when a file of
/// the kernel does not answer, no other one is started.
pub(crate) struct Background<T, R> {
    make: Box<dyn Fn() -> T + Send>,
    state: Option<T>,
    away: Option<JoinHandle<(T, R)>>,
}

impl<T: Send + 'static, R: Send + 'static> Background<T, R> {
    pub(crate) fn new(make: impl Fn() -> T + Send + 'static) -> Self {
        Self { make: Box::new(make), state: None, away: None }
    }

    /// Does the work within the deadline.
    ///
    /// # Errors
    /// The thread did not come back in time, or has not come back from an earlier check.
    pub(crate) async fn run(
        &mut self,
        timeout: Duration,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        if let Some(away) = self.away.take_if(|away| away.is_finished()) {
            self.state = away.await.ok().map(|(state, _)| state);
        }
        if self.away.is_some() {
            let text = "the read of an earlier check has not come back from the kernel";
            return Err(Failure::new(&SOURCE_UNREADABLE, text).code("stuck"));
        }
        let mut state = self.state.take().unwrap_or_else(|| (self.make)());
        let away = self.away.insert(tokio::task::spawn_blocking(move || {
            let result = work(&mut state);
            (state, result)
        }));
        let done = tokio::time::timeout(timeout, away).await;
        match done {
            Err(_) => {
                let text = format!("the kernel did not answer within {} ms", timeout.as_millis());
                Err(Failure::new(&SOURCE_UNREADABLE, text).code("deadline"))
            }
            Ok(done) => {
                self.away = None;
                let (state, result) =
                    done.map_err(|_| Failure::new(&common::INTERNAL, "the reader stopped with a panic"))?;
                self.state = Some(state);
                Ok(result)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_thread_that_does_not_come_back_is_the_only_one() {
        let mut background: Background<u32, u32> = Background::new(|| 7);
        let patient = Duration::from_secs(10);
        assert_eq!(
            background
                .run(patient, |state| {
                    *state += 1;
                    *state
                })
                .await,
            Ok(8)
        );
        let (release, held) = mpsc::channel::<()>();
        let held_up = background
            .run(Duration::from_millis(50), move |state| {
                held.recv().ok();
                *state += 1;
                *state
            })
            .await;
        assert_eq!(held_up.unwrap_err().code.as_deref(), Some("deadline"));
        let again = background.run(patient, |state| *state).await;
        assert_eq!(again.unwrap_err().code.as_deref(), Some("stuck"));
        drop(release);
        while !background.away.as_ref().is_none_or(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        assert_eq!(background.run(patient, |state| *state).await, Ok(9), "the state came back with it");
    }

    #[tokio::test]
    async fn a_panic_costs_the_state_and_nothing_else() {
        let mut background: Background<u32, u32> = Background::new(|| 7);
        let patient = Duration::from_secs(10);
        let failure = background.run(patient, |_| panic!("planted")).await.unwrap_err();
        assert_eq!(failure.class, &common::INTERNAL);
        assert_eq!(background.run(patient, |state| *state).await, Ok(7));
    }
}
