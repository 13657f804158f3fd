//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::settings::{Log, LogFormat};

/// Begins to log.
///
/// # Errors
/// The level cannot be read.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    // The HTTP library tells of every worker it starts and stops: no one waits for that.
    let filter = EnvFilter::try_new(format!("actix_server=warn,{}", log.level))
        .map_err(|error| anyhow::anyhow!("log.level: `{}`: {error}", log.level))?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_timer(SystemTime).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Pretty => {
            use std::io::IsTerminal;
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
