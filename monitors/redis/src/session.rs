//! Which connection a probe gets.

use wise_core::Failure;
use wise_database::Stages;

use crate::driver::{Session, Way};
use crate::error::{Broken, failure, refusal};
use crate::gate::Gate;
use crate::info::Info;
use crate::login::{self, CLIENT_NAME, Found, auth_failure, read_info, select_failure};
use crate::server::Server;

/// Part of the deadline after which a kept connection that does not answer is given up for a new one.
const PATIENCE: u32 = 3;

impl Server {
    /// Opens a connection of the driver.
    ///
    /// # Errors
    /// Why there is none. The driver knows too little about that, so our own login is asked.
    pub(crate) async fn open(&self, stages: &mut Stages) -> Result<Session, Failure> {
        let stream = login::connect(self, stages, &mut Found::default()).await?;
        stages.begin("login");
        let gate = Gate::open(stream).await.map_err(|error| {
            let (class, code) = wise_net::classify_io(&error, None);
            Failure::new(class, format!("no port of this machine for the driver: {error}")).code(code)
        })?;
        let credentials = self
            .credentials()
            .map(|(name, password)| (name.map(str::to_owned), zeroize::Zeroizing::new(password.to_owned())));
        let way = Way { gate, credentials, database: self.database };
        let session = match Session::open(way).await {
            Ok(session) => session,
            Err(broken) => return Err(self.diagnose(broken, stages).await),
        };
        // Only a name for anyone who looks at CLIENT LIST.
        session.ask(&["CLIENT", "SETNAME", CLIENT_NAME]).await.ok();
        stages.end();
        Ok(session)
    }

    /// Why the driver could not connect.
    async fn diagnose(&self, broken: Broken, stages: &mut Stages) -> Failure {
        match &broken {
            Broken::Refused(text) => {
                // The driver says what was refused and not when: these words only come as answers to AUTH and SELECT.
                let first = refusal(text, "ping");
                match (first.class.name, self.credentials(), self.database) {
                    ("statement", Some(_), 0) => auth_failure(&broken),
                    ("statement", None, 1..) => select_failure(self, &broken),
                    ("statement", Some(_), _) => self.ask_again(&broken, stages).await,
                    _ => first,
                }
            }
            Broken::Lost | Broken::Violation(_) => self.ask_again(&broken, stages).await,
        }
    }

    async fn ask_again(&self, broken: &Broken, stages: &mut Stages) -> Failure {
        match login::login(self, stages, &mut Found::default()).await {
            Err(found) => found,
            Ok(()) => failure(broken, "ping"),
        }
    }

    /// The kept connection if it still works, or a new one, and what INFO says over it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn connection(
        &self,
        sections: &'static str,
        timeout: std::time::Duration,
        stages: &mut Stages,
    ) -> Result<(Session, Info), Failure> {
        let words = ["INFO", sections];
        if let Some(session) = self.take_kept().filter(|session| !session.is_over()) {
            stages.begin("query");
            let asked = session.ask(&words);
            match tokio::time::timeout(timeout / PATIENCE, asked).await {
                Ok(Ok(reply)) => {
                    stages.end();
                    return Ok((session, read_info(&reply)?));
                }
                Ok(Err(refused @ Broken::Refused(_))) => return Err(failure(&refused, "info")),
                // It may be half-open, or the server was started again: a new one tells.
                Ok(Err(_)) | Err(_) => session.close().await,
            }
        }
        let session = self.open(stages).await?;
        stages.begin("query");
        let reply = session.ask(&words).await.map_err(|broken| failure(&broken, "info"))?;
        stages.end();
        Ok((session, read_info(&reply)?))
    }

    /// Keeps a connection for the next check, or closes it when there is one already.
    pub(crate) async fn give_back(&self, session: Session) {
        if let Some(surplus) = self.keep(session) {
            surplus.close().await;
        }
    }
}
