//! `wise-monitoring generate`: documents made from the code, for `cargo xtask codegen`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;
use wise_core::{Direction, ErrorClass, Fault, HumanDuration, Plugin, common};

use crate::compose;
use crate::settings::variables;

pub(super) fn run(what: &str) -> anyhow::Result<ExitCode> {
    let text = match what {
        "env-example" => env_example()?,
        "configuration" => configuration()?,
        "openapi" => format!("{}\n", serde_json::to_string_pretty(&wise_api::openapi())?),
        "monitors" => monitors()?,
        other => bail!("there is no `{other}`: use env-example, configuration, openapi or monitors"),
    };
    std::io::stdout().write_all(text.as_bytes()).ok();
    Ok(ExitCode::SUCCESS)
}

const SECRET_KEY: &str = "Key that seals secrets in the store: 32 bytes as base64, from `openssl rand -base64 32`. Without it \
                          a key file is made beside the store.";

fn env_example() -> anyhow::Result<String> {
    let mut text = String::from(
        "# Every setting with its default. Copy this file to .env and change what you need; the environment goes before it.\n\
         # Made by `cargo xtask codegen` from crates/server/src/settings.rs.\n",
    );
    for variable in variables() {
        write!(text, "\n# {}\n# {}={}\n", variable.description, variable.variable, variable.default)?;
    }
    write!(text, "\n# {SECRET_KEY}\n# WISE_SECRET_KEY=\n")?;
    Ok(text)
}

fn configuration() -> anyhow::Result<String> {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Made by `cargo xtask codegen` from crates/server/src/settings.rs. -->\n\n\
         Settings come in layers, each over the one before: built-in defaults, `config/wise.toml` (or `--config FILE`),\n\
         `.env`, the environment. A variable that begins with `WISE_` and is no setting is a warning; an unknown key in the\n\
         file is an error. Lists in variables are separated by commas. `wise-monitoring check-config` says what is wrong,\n\
         and where.\n\n\
         | setting | variable | default | meaning |\n|---|---|---|---|\n",
    );
    for variable in variables() {
        let default = if variable.default.is_empty() {
            "(empty)".to_owned()
        } else {
            format!("`{}`", variable.default)
        };
        writeln!(
            text,
            "| `{}` | `{}` | {default} | {} |",
            variable.path, variable.variable, variable.description
        )?;
    }
    writeln!(text, "| | `WISE_SECRET_KEY` | (empty) | {SECRET_KEY} |")?;
    text.push_str(
        "\n## Monitor files\n\n\
         Every `*.toml` file in `config/monitors.d` (or `--monitors DIR`) holds `[[monitor]]` tables with the keys of the\n\
         API and a `[monitor.settings]` table. Any text may hold `${NAME}` or `${NAME:-default}`, from `.env` or the\n\
         environment; `$${` stands for `${` itself. Changes are taken over while the server runs, once nothing has changed for\n\
         another `monitors.reload_interval`; a mistake in a file holds up no other file and removes no monitor, and the log says\n\
         where it is. A monitor that is in no file any more is removed ten seconds later, so a file may be replaced in steps. An\n\
         empty file, an empty folder and one that cannot be read are mistakes: they remove nothing, and `/health` is degraded. To\n\
         keep no monitor in files, leave a file with a comment. A monitor from a file is known by its name, and the API answers 409 to changes of it.\n\
         [examples/monitors.toml](../examples/monitors.toml) shows the possibilities.\n\n\
         | key | meaning |\n|---|---|\n",
    );
    let schema = serde_json::to_value(schemars::schema_for!(wise_core::MonitorSpec))?;
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        writeln!(text, "| `{name}` | {} |", field["description"].as_str().unwrap_or("").replace('\n', " "))?;
    }
    Ok(text)
}

/// One page a kind, each behind a form feed and its name.
fn monitors() -> anyhow::Result<String> {
    let mut text = String::new();
    for plugin in compose::registry()?.plugins() {
        write!(text, "\u{c}{}\n{}", plugin.kind, page(plugin)?)?;
    }
    Ok(text)
}

fn page(plugin: &Plugin) -> anyhow::Result<String> {
    let mut text = format!(
        "# {}\n\n<!-- Made by `cargo xtask codegen` from the plugin's descriptor. -->\n\n{}. Kind: `{}`.\n\n\
         ```json\n{}\n```\n\n## Settings\n\n| field | type | default | meaning |\n|---|---|---|---|\n",
        plugin.title,
        plugin.summary,
        plugin.kind,
        serde_json::to_string_pretty(&(plugin.example)())?
    );
    let schema = (plugin.schema)();
    fields(&schema, &schema, "", &mut text)?;
    if !plugin.guide.is_empty() {
        write!(text, "\n{}\n", plugin.guide.trim())?;
    }
    text.push_str("\n## Probes\n\n| probe | interval | deadline |\n|---|---|---|\n");
    for probe in plugin.probes {
        writeln!(
            text,
            "| `{}` | {} | {} |",
            probe.name,
            HumanDuration(probe.interval),
            HumanDuration(probe.timeout)
        )?;
    }
    text.push_str(
        "\n## Metrics\n\n| metric | unit | meaning | warning | critical | margin, checks in a row |\n|---|---|---|---|---|---|\n",
    );
    for metric in plugin.metrics {
        let threshold = metric.threshold;
        let side = threshold.map_or("", |t| if t.direction == Direction::Above { "≥ " } else { "≤ " });
        let bound =
            |bound: Option<f64>| bound.map_or_else(|| "–".to_owned(), |bound| format!("{side}{bound}"));
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            metric.name,
            metric.unit,
            metric.help,
            bound(threshold.and_then(|t| t.warning)),
            bound(threshold.and_then(|t| t.critical)),
            threshold.map_or_else(|| "–".to_owned(), |t| format!("{} %, {}", t.hysteresis * 100.0, t.checks))
        )?;
    }
    text.push_str(
        "\nThe margin is the share of a bound by which a reading must come back before the bound is clear again.\n\
         Thresholds of a definition replace these by metric.\n\
         \nIn Prometheus text the name is `wise_` and the metric with underscores for dots; days become seconds, and\n\
         `_count`, which Prometheus keeps for histograms, is left out.\n",
    );
    text.push_str("\n## Error classes\n\n| class | whose trouble | what to look at first |\n|---|---|---|\n");
    for class in plugin.classes.iter().chain(common::ALL) {
        let ErrorClass { name, fault, hint, .. } = class;
        let fault = if *fault == Fault::Own { "ours: unknown" } else { "the target's" };
        writeln!(text, "| `{name}` | {fault} | {hint} |")?;
    }
    Ok(text)
}

fn fields(root: &Value, schema: &Value, prefix: &str, text: &mut String) -> anyhow::Result<()> {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let target = resolve(root, field);
        let description = field["description"].as_str().or(target["description"].as_str()).unwrap_or("");
        let default = match &field["default"] {
            Value::Null => "–".to_owned(),
            Value::Object(_) => "see below".to_owned(),
            other => format!("`{other}`"),
        };
        if field.get("const").is_none() {
            writeln!(
                text,
                "| `{path}` | {} | {default} | {} |",
                kind(root, field),
                description.replace('\n', " ")
            )?;
        }
        if target.get("properties").is_some() {
            fields(root, target, &format!("{path}."), text)?;
        }
        for branch in variants(root, target).chain(variants(root, resolve(root, &target["items"]))) {
            let tag = branch["properties"].as_object().and_then(|fields| {
                fields.iter().find_map(|(name, field)| Some((name, field.get("const")?.as_str()?)))
            });
            if let Some((tag, value)) = tag {
                let dots = if target.get("items").is_some() { "[]" } else { "" };
                fields(root, branch, &format!("{path}{dots} ({tag}: {value})."), text)?;
            }
        }
    }
    Ok(())
}

fn variants<'a>(root: &'a Value, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
    let of = |key: &str| schema[key].as_array().into_iter().flatten();
    of("oneOf").chain(of("anyOf").flat_map(move |branch| {
        let target = resolve(root, branch);
        target["oneOf"].as_array().into_iter().flatten()
    }))
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    schema["$ref"].as_str().and_then(|r| root.pointer(r.strip_prefix('#')?)).unwrap_or(schema)
}

fn kind(root: &Value, field: &Value) -> String {
    let target = resolve(root, field);
    match field["x-wise"].as_str().or(target["x-wise"].as_str()) {
        Some("secret") => return "secret".to_owned(),
        Some("headers") => return "map of headers".to_owned(),
        Some("duration") => return "duration".to_owned(),
        Some("url") => return "URL".to_owned(),
        _ => {}
    }
    if target["oneOf"].as_array().is_some_and(|all| all.iter().all(|one| one.get("const").is_some())) {
        let words = target["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| format!("`{}`", one["const"].as_str().unwrap_or("")));
        return words.collect::<Vec<_>>().join(", ");
    }
    if let Some(words) = target["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap_or("")))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(branches) = target["anyOf"].as_array() {
        let named =
            branches.iter().filter(|branch| branch["type"] != "null").map(|branch| kind(root, branch));
        return named.collect::<Vec<_>>().join(" or ");
    }
    match &target["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(root, &target["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ if target.get("oneOf").is_some() => "object".to_owned(),
        _ => "any".to_owned(),
    }
}
