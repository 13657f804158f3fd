//! Monitors kept in files: `[[monitor]]` tables in TOML, read with positions, so that an error names file, line and
//! field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wise_core::{ManagedBy, MonitorDefinition, MonitorId, MonitorSpec, Principal, deserialize};

use crate::catalog::{Catalog, CatalogEntry};
use crate::error::CatalogError;

/// A monitor as it stands in a file.
#[derive(Clone, Debug)]
pub struct FileMonitor {
    /// The file.
    pub file: PathBuf,
    /// The line of its table, from 1.
    pub line: usize,
    /// The definition.
    pub spec: MonitorSpec,
}

/// What is wrong with a file, or a monitor in it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileProblem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, as near as it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Finds the value of a variable in `${NAME}`.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads every `*.toml` file of a folder. A folder that is not there is a problem: it may only be unmounted, or misspelt.
pub fn read_folder(folder: &Path, variables: Variables<'_>) -> (Vec<FileMonitor>, Vec<FileProblem>) {
    let (mut monitors, mut problems) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(FileProblem {
                file: folder.to_owned(),
                line: None,
                message: format!("cannot be read: {error}"),
            });
            return (monitors, problems);
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    for file in files {
        match std::fs::read_to_string(&file) {
            Ok(text) => read_text(&file, &text, variables, &mut monitors, &mut problems),
            Err(error) => {
                problems.push(FileProblem { file, line: None, message: format!("cannot be read: {error}") });
            }
        }
    }
    (monitors, problems)
}

fn read_text(
    file: &Path,
    text: &str,
    variables: Variables<'_>,
    monitors: &mut Vec<FileMonitor>,
    problems: &mut Vec<FileProblem>,
) {
    let mut problem = |line: Option<usize>, message: String| {
        problems.push(FileProblem { file: file.to_owned(), line, message });
    };
    let table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map(|span| line_of(text, span.start));
            return problem(line, error.message().to_owned());
        }
    };
    for key in table.keys().filter(|key| *key != "monitor") {
        problem(find_key(text, key, 1), format!("{key}: unknown key; a monitor is a `[[monitor]]` table"));
    }
    let starts: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("[[monitor]]"))
        .map(|(index, _)| index + 1)
        .collect();
    let items = match table.get("monitor") {
        None => return,
        Some(toml::Value::Array(items)) => items,
        Some(_) => {
            return problem(
                find_key(text, "monitor", 1),
                "monitor: write `[[monitor]]`, with two brackets".to_owned(),
            );
        }
    };
    for (index, item) in items.iter().enumerate() {
        let start = starts.get(index).copied().unwrap_or(1);
        let mut value = match serde_json::to_value(item) {
            Ok(value) => value,
            Err(error) => {
                problem(Some(start), error.to_string());
                continue;
            }
        };
        let mut missing = Vec::new();
        substitute(&mut value, variables, &mut missing);
        if !missing.is_empty() {
            let names = missing.join(", ");
            problem(
                Some(start),
                format!("not set in .env or the environment: {names}; set it, or write ${{NAME:-default}}"),
            );
            continue;
        }
        match deserialize::<MonitorSpec>(value) {
            Ok(spec) => monitors.push(FileMonitor { file: file.to_owned(), line: start, spec }),
            Err(errors) => {
                for error in &errors.0 {
                    let last = error
                        .field
                        .rsplit(['.', '['])
                        .find(|part| !part.ends_with(']'))
                        .unwrap_or(&error.field);
                    problem(find_key(text, last, start).or(Some(start)), error.to_string());
                }
            }
        }
    }
}

/// Replaces `${NAME}` and `${NAME:-default}` in every text.
fn substitute(value: &mut Value, variables: Variables<'_>, missing: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("${") => *text = expand(text, variables, missing),
        Value::Array(items) => items.iter_mut().for_each(|item| substitute(item, variables, missing)),
        Value::Object(map) => map.values_mut().for_each(|item| substitute(item, variables, missing)),
        _ => {}
    }
}

fn expand(text: &str, variables: Variables<'_>, missing: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else { break };
        let inside = &rest[start + 2..start + end];
        let (name, default) =
            inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
        match variables(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => out.push_str(&value),
            None => missing.push(name.to_owned()),
        }
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    out
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1)
}

/// The first line from `from` on that sets the key.
fn find_key(text: &str, key: &str, from: usize) -> Option<usize> {
    text.lines().enumerate().skip(from - 1).find_map(|(index, line)| {
        let line = line.trim_start().trim_start_matches('[');
        let rest = line.strip_prefix(key)?;
        rest.trim_start().starts_with(['=', ']', '.']).then_some(index + 1)
    })
}

impl Catalog {
    /// Whether any monitor in force is kept in a file.
    pub fn has_file_monitors(&self) -> bool {
        self.list().iter().any(|entry| matches!(entry.definition.managed_by, ManagedBy::File(_)))
    }

    /// Brings the catalog in line with the files: adds and changes what they keep, and, when every file could be read
    /// (`is_complete`), removes what none of them keeps. What is wrong is left as it was and reported.
    pub fn sync_files(&self, monitors: &[FileMonitor], is_complete: bool) -> Vec<FileProblem> {
        let _one = self.write();
        let mut problems = Vec::new();
        let mut seen: BTreeMap<MonitorId, &FileMonitor> = BTreeMap::new();
        // Dependencies may point forward: whatever fails only for that is tried again until nothing moves any more.
        let mut left: Vec<&FileMonitor> = Vec::new();
        for monitor in monitors {
            let id = MonitorId::from_file_name(&monitor.spec.name);
            if let Some(first) = seen.insert(id, monitor) {
                let message = format!(
                    "name: `{}` is taken by {}:{}",
                    monitor.spec.name,
                    first.file.display(),
                    first.line
                );
                problems.push(FileProblem { file: monitor.file.clone(), line: Some(monitor.line), message });
                seen.insert(id, first);
            } else {
                left.push(monitor);
            }
        }
        let removed = match self.removed(&Principal::unlimited("file")) {
            Ok(removed) => removed.into_iter().map(|(one, _)| (one.id, one)).collect(),
            Err(error) => {
                let message = format!("the monitors of files cannot be taken over: {error}");
                return vec![FileProblem { file: PathBuf::new(), line: None, message }];
            }
        };
        loop {
            let before = left.len();
            let mut errors = Vec::new();
            left.retain(|monitor| match self.sync_one(monitor, &removed) {
                Ok(()) => false,
                Err(error) => {
                    errors.push(FileProblem {
                        file: monitor.file.clone(),
                        line: Some(monitor.line),
                        message: format!("{}: {error}", monitor.spec.name),
                    });
                    true
                }
            });
            if left.is_empty() || left.len() == before {
                problems.extend(errors);
                break;
            }
        }
        let gone: Vec<CatalogEntry> = self
            .list()
            .into_iter()
            .filter(|entry| {
                matches!(entry.definition.managed_by, ManagedBy::File(_))
                    && !seen.contains_key(&entry.definition.id)
            })
            .collect();
        for entry in gone.into_iter().filter(|_| is_complete) {
            tracing::warn!("monitor {} is in no file any more and is removed", entry.definition.spec.name);
            if let Err(error) = self.remove(entry.definition.id) {
                problems.push(FileProblem {
                    file: PathBuf::new(),
                    line: None,
                    message: format!("{} cannot be removed: {error}", entry.definition.spec.name),
                });
            }
        }
        problems
    }

    fn sync_one(
        &self,
        monitor: &FileMonitor,
        removed: &BTreeMap<MonitorId, MonitorDefinition>,
    ) -> Result<(), CatalogError> {
        let id = MonitorId::from_file_name(&monitor.spec.name);
        let file = ManagedBy::File(monitor.file.display().to_string());
        match self.get(id) {
            None => {
                let earlier = removed.get(&id);
                let by = Principal::unlimited("file");
                self.insert(id, monitor.spec.clone(), file, earlier, &by).map(|_| ())
            }
            Some(entry) => {
                let mut wanted = monitor.spec.clone();
                // Stored dependencies are ids, those of the file may be names.
                for wanted in &mut wanted.depends_on {
                    if let Some(found) =
                        self.list().iter().find(|entry| entry.definition.spec.name == *wanted)
                    {
                        *wanted = found.definition.id.to_string();
                    }
                }
                if entry.definition.spec == wanted && entry.definition.managed_by == file {
                    return Ok(());
                }
                let old = MonitorDefinition { managed_by: file, ..(*entry.definition).clone() };
                self.update(&old, monitor.spec.clone(), &Principal::unlimited("file")).map(|_| ())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<FileMonitor>, Vec<FileProblem>) {
        let (mut monitors, mut problems) = (Vec::new(), Vec::new());
        let variables = |name: &str| (name == "HOST").then(|| "shop.example".to_owned());
        read_text(Path::new("shop.toml"), text, &variables, &mut monitors, &mut problems);
        (monitors, problems)
    }

    #[test]
    fn variables_are_filled_in() {
        let text = "[[monitor]]\nname = \"${NAME:-shop}\"\nkind = \"website\"\n[monitor.settings]\nurl = \"https://${HOST}/\"\n";
        let (monitors, problems) = read(text);
        assert_eq!(problems, []);
        assert_eq!(monitors[0].spec.name, "shop");
        assert_eq!(monitors[0].spec.settings["url"], "https://shop.example/");
        let (_, problems) = read("[[monitor]]\nname = \"${NO}\"\nkind = \"website\"\nsettings = {}\n");
        assert_eq!(
            problems[0].to_string(),
            "shop.toml:1: not set in .env or the environment: NO; set it, or write ${NAME:-default}"
        );
    }

    #[test]
    fn problems_name_file_line_and_field() {
        let (_, problems) =
            read("[[monitor]]\nname = \"a\"\nkind = \"website\"\ninterval = \"5x\"\nsettings = {}\n");
        let text = problems[0].to_string();
        assert!(text.starts_with("shop.toml:4: interval: `5x` is no duration"), "{text}");
        let (_, problems) = read(
            "[[monitor]]\nname = \"a\"\nkind = \"website\"\nsettings = {}\n\n[[monitor]]\nname = \"b\"\nknd = \"x\"\n",
        );
        assert!(problems[0].to_string().starts_with("shop.toml:8: knd: unknown field"), "{problems:?}");
        let (_, problems) = read("[[monitor]]\nname = \"a\nkind = 5");
        assert_eq!(problems[0].line, Some(2));
        let (_, problems) = read("[monitor]\nname = \"a\"\n");
        assert!(problems[0].message.contains("two brackets"));
        let (_, problems) = read("monitors = 3\n");
        assert!(problems[0].message.contains("unknown key"));
    }
}
