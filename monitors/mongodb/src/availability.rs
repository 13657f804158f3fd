//! Availability: what the server says it is, a fresh login, its version and start, and a ping.

use bson::doc;
use wise_core::{Failure, Labels, async_trait, common};
use wise_database::{Reusable, classes};

use crate::config::{ExpectedRole, Watched};
use crate::document::{number, text};
use crate::error::{CLUSTER_MONITOR, missing};
use crate::hello::{Hello, Role};
use crate::metrics::availability as metrics;
use crate::session::Session;
use crate::{Run, Step};

pub(crate) struct Availability;

#[async_trait]
impl Step<Watched> for Availability {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let outcome = check(run).await;
        let stages = [
            ("dns", &metrics::DNS),
            ("connect", &metrics::CONNECT),
            ("tls", &metrics::TLS),
            ("handshake", &metrics::HANDSHAKE),
            ("auth", &metrics::AUTH),
            ("role", &metrics::ROLE),
            ("query", &metrics::QUERY),
        ];
        run.stages.readings(&stages, &mut run.report);
        if let Some(answered) = run.answered {
            run.report.push(&metrics::TOTAL, answered.as_secs_f64());
        }
        outcome
    }
}

async fn check(run: &mut Run<'_>) -> Result<(), Failure> {
    let watched = run.watched;
    let reached = watched.server.reach(&mut run.stages).await?;
    let hello = reached.hello.clone();
    run.report.facts.push(("tls", reached.tls.unwrap_or("plain text").to_owned()));
    run.report.facts.push(("role", hello.role.name().to_owned()));
    if let Some(set) = &hello.set {
        run.report.facts.push(("replica_set", set.clone()));
    }
    if let Some(certificate) = &reached.certificate {
        let seconds = certificate.not_after.as_seconds_f64() - run.cx.now.as_seconds_f64();
        run.report.push(&metrics::CERTIFICATE, seconds / 86_400.0);
    }
    run.report.push(&metrics::ROLE_STATE, hello.role.state());
    run.report.push(&metrics::WRITABLE, f64::from(u8::from(hello.is_writable)));
    run.note("hello", hello.evidence());
    ready(&hello)?;
    // Arbiters have no users: that they answer is all that can be known.
    if hello.role != Role::Arbiter {
        let session = watched.server.enter(reached, run.cx.timeout, &mut run.stages).await?;
        run.stages.begin("role");
        describe(&session, run).await?;
        run.stages.begin("query");
        session.command("admin", doc! {"ping": 1}).await?;
        run.stages.end();
        run.answered = Some(run.started.elapsed());
        session.close().await;
    } else {
        run.answered = Some(run.started.elapsed());
    }
    expected(&hello, watched)
}

/// Whether the member serves anybody.
fn ready(hello: &Hello) -> Result<(), Failure> {
    match hello.role {
        Role::Unready => {
            let text = "the member is neither primary nor secondary: it starts, recovers, rolls back or is in \
                        maintenance; the replication probe says which";
            Err(Failure::new(&classes::STARTING, text).code("not_ready"))
        }
        Role::Unconfigured => {
            let text = "the server was started for a replica set and has no configuration of one: it was never \
                        initiated, or has been removed";
            Err(Failure::new(&classes::STARTING, text).code("no_configuration"))
        }
        _ => Ok(()),
    }
}

async fn describe(session: &Session, run: &mut Run<'_>) -> Result<(), Failure> {
    // A server tells its version to anybody.
    let build = session.command("admin", doc! {"buildInfo": 1}).await?;
    if let Some(version) = text(&build, &["version"]) {
        run.report.facts.push(("version", wise_database::shorten(version, 60)));
    }
    let mut command = doc! {"serverStatus": 1};
    for section in
        ["asserts", "extra_info", "flowControl", "globalLock", "locks", "metrics", "network", "opLatencies"]
    {
        command.insert(section, 0);
    }
    for section in ["queues", "repl", "sharding", "tcmalloc", "transactions", "wiredTiger"] {
        command.insert(section, 0);
    }
    match session.command("admin", command).await {
        Ok(status) => {
            if let Some(uptime) = number(&status, &["uptime"]) {
                run.report.push(&metrics::UPTIME, uptime);
            }
        }
        Err(failure) if Session::wants_login(&failure, run.watched.server.login.as_ref()) => {
            let text = "the server asks for a login, and no user is configured";
            return Err(Failure::new(&common::AUTH, text).code("credentials_missing"));
        }
        Err(failure) => match missing(&failure, CLUSTER_MONITOR) {
            Some(why) => run.report.push_absent(&metrics::UPTIME, &Labels::default(), why),
            None => return Err(failure),
        },
    }
    Ok(())
}

fn expected(hello: &Hello, watched: &Watched) -> Result<(), Failure> {
    let (role, set) = (hello.role, hello.set.as_deref());
    if let Some(wanted) = watched.settings.replica_set.as_deref()
        && set != Some(wanted)
    {
        let text =
            format!("the member belongs to {}, and the URL names {wanted}", set.unwrap_or("no replica set"));
        return Err(Failure::new(&classes::CLUSTER, text).code("replica_set"));
    }
    let wrong = |wanted: &str| {
        let text = format!("a {wanted} is expected, and the server is a {}", role.name());
        Err(Failure::new(&classes::WRONG_ROLE, text).code(role.name()))
    };
    match watched.settings.expected_role {
        ExpectedRole::Primary if matches!(role, Role::Secondary | Role::Arbiter) => wrong("primary"),
        ExpectedRole::Secondary if role != Role::Secondary => wrong("secondary"),
        ExpectedRole::Primary if !hello.is_writable => {
            let text = "the server is a primary, and only reads";
            Err(Failure::new(&classes::READ_ONLY, text).code("read_only"))
        }
        _ => Ok(()),
    }
}
