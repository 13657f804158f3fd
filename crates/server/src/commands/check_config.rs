//! `wise-monitoring check-config`: what is wrong, and where.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use wise_catalog::{FileMonitor, FileProblem, read_folder};
use wise_core::{BuildContext, FieldError, FieldErrors, Registry, validate_spec};
use wise_net::{AllowAll, Net};

use crate::cli::Sources;
use crate::compose;
use crate::environment::Environment;
use crate::settings::Settings;

pub(super) fn run(sources: &Sources, environment: &Environment) -> anyhow::Result<ExitCode> {
    let loaded = super::load(sources, environment)?;
    let registry = compose::registry()?;
    let folder = super::monitor_folder(sources, &loaded.settings);
    for warning in &loaded.warnings {
        say!("warning: {warning}");
    }
    if environment.get("WISE_SECRET_KEY").is_some() {
        compose::sealer(&loaded.settings, environment)?;
    }
    // A folder that no one named need not be there.
    let is_named =
        sources.monitors.is_some() || folder != std::path::Path::new(&Settings::default().monitors.folder);
    let (monitors, mut problems) = if is_named || folder.exists() {
        read_folder(&folder, &|name| environment.get(name))
    } else {
        Default::default()
    };
    let cx = compose::build_context(environment, Arc::new(Net::new(Arc::new(AllowAll))));
    let names: Vec<&str> = monitors.iter().map(|monitor| monitor.spec.name.as_str()).collect();
    for (index, monitor) in monitors.iter().enumerate() {
        let mut errors = validate(monitor, &registry, &cx).err().unwrap_or_default();
        if let Some(first) = names[..index].iter().position(|name| *name == monitor.spec.name) {
            let first = &monitors[first];
            let text = format!("is taken by {}:{}", first.file.display(), first.line);
            errors.push(FieldError::new("name", text).value(&monitor.spec.name));
        }
        for (at, wanted) in monitor.spec.depends_on.iter().enumerate() {
            if !names.contains(&wanted.as_str()) && wanted.parse::<wise_core::MonitorId>().is_err() {
                errors.push(
                    FieldError::new(format!("depends_on[{at}]"), "there is no such monitor in the files")
                        .value(wanted),
                );
            }
        }
        for error in errors.0 {
            let (file, line): (PathBuf, _) = (monitor.file.clone(), Some(monitor.line));
            problems.push(FileProblem { file, line, message: format!("{}: {error}", monitor.spec.name) });
        }
    }
    for problem in &problems {
        say!("error: {problem}");
    }
    if problems.is_empty() {
        say!("ok: settings, and {} monitors in {}", monitors.len(), folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    say!("{} problems", problems.len());
    Ok(ExitCode::FAILURE)
}

fn validate(monitor: &FileMonitor, registry: &Registry, cx: &BuildContext) -> Result<(), FieldErrors> {
    let spec = &monitor.spec;
    let plugin = registry.plugin(&spec.kind).ok_or_else(|| {
        let error = FieldError::new("kind", "there is no such kind of monitor").value(&spec.kind);
        FieldErrors::from(error.hint(format!("known here: {}", registry.kinds())))
    })?;
    let mut errors = validate_spec(spec, plugin).err().unwrap_or_default();
    if let Err(wrong) = (plugin.build)(spec.settings.clone(), cx) {
        errors.0.extend(wrong.0);
    }
    errors.into_result()
}
