//! `wise-monitoring backup`, `restore` and `check-store`: care for the files of the store.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use wise_storage::{Copied, Progress};

use crate::cli::Sources;
use crate::environment::Environment;

/// Says how far the work has come: over and over in one line on a terminal, a line each elsewhere.
fn show(progress: Progress<'_>) {
    let mut out = std::io::stderr();
    let megabytes = progress.bytes as f64 / 1e6;
    let of = if progress.all > 0 { format!(" of {}", progress.all) } else { String::new() };
    let text = format!("file {}{of}, {megabytes:.1} MB so far: {}", progress.done + 1, progress.file);
    // Progress that cannot be shown is no reason to stop.
    if out.is_terminal() {
        write!(out, "\r\x1b[K{text}").ok();
    } else {
        writeln!(out, "{text}").ok();
    }
}

fn end_of_progress() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}

fn told(copied: Copied) -> String {
    format!("{} files, {:.1} MB", copied.files, copied.bytes as f64 / 1e6)
}

pub(super) fn backup(file: &Path, sources: &Sources, environment: &Environment) -> anyhow::Result<ExitCode> {
    let folder = super::load(sources, environment)?.settings.embedded_folder()?;
    let copied = wise_storage::backup(&folder, file, env!("CARGO_PKG_VERSION"), show)
        .with_context(|| format!("no backup of {} was made", folder.display()))?;
    end_of_progress();
    say!("{}: {}", file.display(), told(copied));
    say!("The key of its secrets is not in it: keep {} elsewhere.", folder.join("secret.key").display());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(file: &Path, sources: &Sources, environment: &Environment) -> anyhow::Result<ExitCode> {
    let folder = super::load(sources, environment)?.settings.embedded_folder()?;
    let copied = wise_storage::restore(file, &folder, show)
        .with_context(|| format!("{} was not restored, and nothing was changed", file.display()))?;
    end_of_progress();
    say!("{}: {}", folder.display(), told(copied));
    say!("Put the key of its secrets beside it as secret.key, or give it in WISE_SECRET_KEY.");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(sources: &Sources, environment: &Environment) -> anyhow::Result<ExitCode> {
    let folder = super::load(sources, environment)?.settings.local_folder()?;
    let wrong = wise_storage::check_store(&folder, show)?;
    end_of_progress();
    for (path, what) in &wrong {
        say!("{}: {what}", path.display());
    }
    if wrong.is_empty() {
        say!("{}: every file is whole", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
