//! `wise-monitoring export`: every monitor as TOML or JSON. Works while a server runs on the same store.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use wise_catalog::{Format, open_secrets};
use wise_storage::read_definitions;

use crate::cli::Sources;
use crate::compose;
use crate::environment::Environment;

pub(super) fn run(
    format: Option<&str>,
    sources: &Sources,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let format = match format {
        None => Format::default(),
        Some(name) => {
            Format::from_name(name).with_context(|| format!("--format: `{name}` is neither toml nor json"))?
        }
    };
    let loaded = super::load(sources, environment)?;
    let folder = loaded.settings.local_folder()?;
    let mut definitions = read_definitions(&folder)
        .with_context(|| format!("there is no store to export in {}", folder.display()))?;
    let sealer = compose::sealer(&loaded.settings, environment)?;
    for definition in &mut definitions {
        open_secrets(definition, &sealer).with_context(|| format!("monitor {}", definition.spec.name))?;
    }
    std::io::stdout()
        .write_all(wise_catalog::export(&*compose::registry()?, &definitions, format)?.as_bytes())
        .ok();
    Ok(ExitCode::SUCCESS)
}
