//! `wise-monitoring check`: one check now, with its trace.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use wise_catalog::read_folder;
use wise_core::{CheckContext, Clock, Fault, MonitorSpec, ProbeSpec, Report, SystemClock, validate_spec};
use wise_net::{AllowAll, Net};

use crate::compose;
use crate::environment::Environment;

pub(super) fn run(target: &str, name: Option<&str>, environment: &Environment) -> anyhow::Result<ExitCode> {
    let specs = specs(target, name, environment)?;
    let registry = compose::registry()?;
    let cx = compose::build_context(environment, Arc::new(Net::new(Arc::new(AllowAll))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut all_passed = true;
    for spec in specs {
        let plugin = registry.plugin(&spec.kind).with_context(|| {
            format!("{}: there is no kind `{}`, known are {}", spec.name, spec.kind, registry.kinds())
        })?;
        validate_spec(&spec, plugin).with_context(|| spec.name.clone())?;
        let monitor = (plugin.build)(spec.settings.clone(), &cx).with_context(|| spec.name.clone())?;
        let timeout =
            spec.schedules(plugin).first().map_or_else(Default::default, |schedule| schedule.timeout);
        let mut probe =
            monitor.probe(ProbeSpec::AVAILABILITY).context("the monitor has no availability probe")?;
        let check = CheckContext { timeout, now: SystemClock.now(), detailed: true };
        let report = runtime.block_on(probe.check(&check));
        print(&spec.name, &report);
        all_passed &= report.failure.is_none();
    }
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn specs(target: &str, name: Option<&str>, environment: &Environment) -> anyhow::Result<Vec<MonitorSpec>> {
    if target.contains("://") {
        return Ok(vec![MonitorSpec::new("check", "website", json!({"url": target}))]);
    }
    let path = Path::new(target);
    if !path.is_file() {
        bail!("`{target}` is neither a web address, such as https://example.com/, nor a file");
    }
    // Read as its folder is read, so that the same text means the same.
    let folder = folder_of(path);
    let (monitors, problems) = read_folder(&folder, &|name| environment.get(name));
    let same = |file: &Path| file.file_name() == path.file_name();
    if let Some(problem) = problems.iter().find(|problem| same(&problem.file)) {
        bail!("{problem}");
    }
    let specs: Vec<MonitorSpec> = monitors
        .into_iter()
        .filter(|monitor| same(&monitor.file) && name.is_none_or(|name| monitor.spec.name == name))
        .map(|monitor| monitor.spec)
        .collect();
    if specs.is_empty() {
        bail!(
            "there is no such monitor in {target}; a monitor is a [[monitor]] table, and the file's name ends in .toml"
        );
    }
    Ok(specs)
}

fn folder_of(path: &Path) -> std::path::PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => std::path::PathBuf::from("."),
    }
}

fn print(name: &str, report: &Report) {
    match &report.failure {
        None => say!("{name}: passed"),
        Some(failure) => {
            let code = failure.code.as_deref().map(|code| format!("/{code}")).unwrap_or_default();
            let whose = if failure.class.fault == Fault::Own {
                " (our own trouble, says nothing about the target)"
            } else {
                ""
            };
            say!("{name}: failed, {}{code}{whose}", failure.class.name);
            say!("  {}", failure.message);
            say!("  hint: {}", failure.class.hint);
        }
    }
    for reading in &report.readings {
        if let Some(value) = reading.value.number() {
            say!("  {} = {value}", reading.metric.name());
        }
    }
    if let Some(evidence) = &report.evidence {
        say!("  trace:");
        tree(evidence, 2);
    }
}

/// JSON as an indented list: shorter to read than its text.
fn tree(value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                branch(&format!("{indent}{key}:"), item, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                branch(&format!("{indent}-"), item, depth);
            }
        }
        other => say!("{indent}{}", leaf(other)),
    }
}

fn branch(label: &str, item: &Value, depth: usize) {
    match item {
        Value::Object(map) if map.is_empty() => say!("{label} (none)"),
        Value::Array(items) if items.is_empty() => say!("{label} (none)"),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            say!("{label} {}", items.iter().map(leaf).collect::<Vec<_>>().join(", "));
        }
        Value::Object(_) | Value::Array(_) => {
            say!("{label}");
            tree(item, depth + 1);
        }
        other => say!("{label} {}", leaf(other)),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        // Bodies come from strangers: nothing of them may steer the terminal.
        Value::String(text) => text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"),
        other => other.to_string(),
    }
}
