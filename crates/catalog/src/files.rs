//! Monitors kept in files: `[[monitor]]` tables in TOML, read with positions, so that an error names file, line and
//! field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wise_core::{ManagedBy, MonitorDefinition, MonitorId, MonitorSpec, Principal, deserialize};

use crate::catalog::Catalog;
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
/// So is a file that is empty: it may only be half written.
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
            Ok(text) if text.is_empty() => {
                let message =
                    "is empty, as one that is being written; to keep no monitor in it, remove it or leave a \
                               comment in it"
                        .to_owned();
                problems.push(FileProblem { file, line: None, message });
            }
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

/// Replaces `${NAME}` and `${NAME:-default}` in every text; `$${` stands for `${` itself.
fn substitute(value: &mut Value, variables: Variables<'_>, missing: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("${") => *text = expand(text, variables, missing),
        Value::Array(items) => items.iter_mut().for_each(|item| substitute(item, variables, missing)),
        Value::Object(map) => map.values_mut().for_each(|item| substitute(item, variables, missing)),
        _ => {}
    }
}

pub(crate) fn expand(text: &str, variables: Variables<'_>, missing: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start]);
            out.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        let Some(end) = rest[start..].find('}') else { break };
        out.push_str(&rest[..start]);
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

/// Writes a text so that [`expand`] reads it as it is.
pub(crate) fn escape(text: &str) -> String {
    text.replace("${", "$${")
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

    /// Brings the catalog in line with the files: adds and changes what they keep. What is wrong is left as it was and
    /// reported. Answers too which monitors no file keeps any more: they stay in force, since a file may only be about to
    /// be written again; see [`Self::remove_unkept`].
    pub fn sync_files(&self, monitors: &[FileMonitor]) -> (Vec<FileProblem>, Vec<MonitorId>) {
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
                return (vec![FileProblem { file: PathBuf::new(), line: None, message }], Vec::new());
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
        let gone = self
            .list()
            .into_iter()
            .filter(|entry| matches!(entry.definition.managed_by, ManagedBy::File(_)))
            .map(|entry| entry.definition.id)
            .filter(|id| !seen.contains_key(id))
            .collect();
        (problems, gone)
    }

    /// Removes monitors that no file keeps. Those that are kept otherwise by now stay.
    pub fn remove_unkept(&self, gone: &[MonitorId]) -> Vec<FileProblem> {
        let _one = self.write();
        let mut problems = Vec::new();
        for entry in gone.iter().filter_map(|id| self.get(*id)) {
            if !matches!(entry.definition.managed_by, ManagedBy::File(_)) {
                continue;
            }
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
    fn two_dollars_stand_for_one_before_a_brace() {
        let variables = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, expected) in [
            ("$${A}", "${A}"),
            ("${A}$${A}${A}", "1${A}1"),
            ("$$${A}", "$${A}"),
            ("costs $$5, ${A", "costs $$5, ${A"),
            ("$${", "${"),
            ("$$", "$$"),
        ] {
            let mut missing = Vec::new();
            assert_eq!(expand(text, &variables, &mut missing), expected, "{text}");
            assert_eq!(missing, [""; 0]);
            // What is written for a text reads as that text.
            assert_eq!(expand(&escape(expected), &variables, &mut missing), expected);
        }
    }

    #[test]
    fn a_file_that_is_being_written_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.toml"), "").unwrap();
        std::fs::write(folder.path().join("none.toml"), "# none at present\n").unwrap();
        let (monitors, problems) = read_folder(folder.path(), &|_| None);
        assert_eq!((monitors.len(), problems.len()), (0, 1));
        assert!(problems[0].to_string().contains("shop.toml: is empty"), "{}", problems[0]);
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
