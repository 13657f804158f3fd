//! The commands, one file each.

mod check;
mod check_config;
mod export;
mod generate;
mod migrate;
mod plugins;
pub(crate) mod serve;
mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Cli, Command, Sources};
use crate::environment::Environment;
use crate::settings::{Loaded, Settings};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = Environment::load(Path::new(".env"))?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&cli.sources, &environment),
        Command::CheckConfig => check_config::run(&cli.sources, &environment),
        Command::Check { target, name } => check::run(&target, name.as_deref(), &environment),
        Command::Plugins => plugins::run(),
        Command::Backup { file } => store::backup(&file, &cli.sources, &environment),
        Command::Restore { file } => store::restore(&file, &cli.sources, &environment),
        Command::CheckStore => store::check(&cli.sources, &environment),
        Command::Migrate { from, to } => migrate::run(from.as_deref(), &to, &cli.sources, &environment),
        Command::Export { format } => export::run(format.as_deref(), &cli.sources, &environment),
        Command::Generate { what } => generate::run(&what),
    }
}

/// Reads the settings.
fn load(sources: &Sources, environment: &Environment) -> anyhow::Result<Loaded> {
    Settings::load(sources.config.as_deref(), environment)
}

/// The folder with monitor files.
fn monitor_folder(sources: &Sources, settings: &Settings) -> PathBuf {
    sources.monitors.clone().unwrap_or_else(|| PathBuf::from(&settings.monitors.folder))
}
