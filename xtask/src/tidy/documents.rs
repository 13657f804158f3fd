//! Documents: every path, link and command in them is one that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::text;
use crate::shell::{command, output, root};

/// Folders that a path of this project begins with.
const TOPS: [&str; 11] = [
    ".cargo/",
    ".ci/",
    "config/",
    "crates/",
    "dashboard/",
    "docs/",
    "examples/",
    "monitors/",
    "tests/",
    "xtask/",
    "deploy/",
];
/// Made by a build, a run or a reader.
const NOT_HERE: [&str; 5] =
    ["config/monitors.d", "config/wise.toml.d", "dashboard/node_modules", "dashboard/dist", "deploy/"];

/// Checks all documents.
pub(super) fn check(packages: &[Value], problems: &mut Vec<String>) -> anyhow::Result<()> {
    let commands = Commands::read(packages)?;
    for file in output(&mut command("git", &["ls-files", "*.md"]))?.lines() {
        let path = root().join(file);
        let document = std::fs::read_to_string(&path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for (number, line) in document.lines().enumerate() {
            let mut tell = |problem: String| problems.push(format!("{file}:{}: {problem}", number + 1));
            for span in spans(line) {
                if let Some(missing) = missing_path(span) {
                    tell(format!("there is no {missing}"));
                }
                commands.check(span, &mut tell);
            }
            if line.starts_with("cargo ") || line.starts_with("(cd ") {
                commands.check(line.split("  #").next().unwrap_or(line), &mut tell);
            }
            for link in links(line) {
                let to = link.split('#').next().unwrap_or_default();
                if !to.is_empty()
                    && !to.contains("://")
                    && !to.starts_with("mailto:")
                    && !folder.join(to).exists()
                {
                    tell(format!("the link leads nowhere: {link}"));
                }
            }
        }
    }
    Ok(())
}

/// What stands between backquotes.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What a link leads to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The path in a span that is not there, if there is one.
fn missing_path(span: &str) -> Option<String> {
    let is_ours = TOPS.iter().any(|top| span.starts_with(top));
    let is_pattern = span.contains(['…', ' ', '<', '$']) || span.split('/').any(is_placeholder);
    if !is_ours || is_pattern || NOT_HERE.iter().any(|made| span.starts_with(made)) {
        return None;
    }
    alternatives(span).into_iter().find(|path| !exists(path))
}

/// `NAME` stands for a name.
fn is_placeholder(part: &str) -> bool {
    let letters: Vec<char> = part.trim_end_matches(".md").chars().filter(|c| c.is_alphabetic()).collect();
    letters.len() > 1 && letters.iter().all(|c| c.is_uppercase())
}

/// `a/{b,c}/d` is two paths.
fn alternatives(path: &str) -> Vec<String> {
    match path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        None => vec![path.to_owned()],
        Some((before, (inside, after))) => {
            inside.split(',').flat_map(|one| alternatives(&format!("{before}{one}{after}"))).collect()
        }
    }
}

/// Whether a path is there; a star stands for anything in its part.
fn exists(path: &str) -> bool {
    let mut found = vec![root()];
    for part in path.trim_end_matches('/').split('/') {
        found = match part.split_once('*') {
            None => found.into_iter().map(|folder| folder.join(part)).filter(|path| path.exists()).collect(),
            Some((before, after)) => {
                found.iter().flat_map(|folder| matching(folder, before, after)).collect()
            }
        };
    }
    !found.is_empty()
}

fn matching(folder: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let fits = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(before) && name.ends_with(after)
    };
    names.filter(fits).collect()
}

/// What commands of this project there are.
struct Commands {
    xtask: BTreeSet<String>,
    /// Subcommands of the binary.
    binary: BTreeSet<String>,
    packages: BTreeMap<String, Package>,
}

/// A package of ours.
struct Package {
    /// Its sources: path and text.
    files: Vec<(String, String)>,
    /// Its test targets.
    tests: BTreeSet<String>,
}

impl Commands {
    fn read(packages: &[Value]) -> anyhow::Result<Self> {
        let main = std::fs::read_to_string(root().join("xtask/src/main.rs"))?;
        let named = main.split("Some(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let cli = std::fs::read_to_string(root().join("crates/server/src/cli.rs"))?;
        let body = cli.split("enum Command {").nth(1).unwrap_or_default();
        let variants = body.lines().filter_map(|line| {
            let name = line.strip_prefix("    ")?;
            let name = name.split(|c: char| !c.is_alphanumeric()).next()?;
            name.starts_with(|c: char| c.is_uppercase()).then(|| kebab(name))
        });
        let mut sources = BTreeMap::new();
        for package in packages.iter().filter(|package| package["source"].is_null()) {
            let folder = Path::new(text(package, "manifest_path")).parent().unwrap_or(Path::new("."));
            let mut files = Vec::new();
            read_files(folder, &mut files)?;
            let targets = package["targets"].as_array().into_iter().flatten();
            let tests =
                targets.filter(|target| target["kind"][0] == "test").map(|one| text(one, "name").to_owned());
            let tests = tests.collect();
            sources.insert(text(package, "name").to_owned(), Package { files, tests });
        }
        Ok(Self { xtask: named.map(str::to_owned).collect(), binary: variants.collect(), packages: sources })
    }

    /// Looks at every command of ours in a text.
    fn check(&self, text: &str, tell: &mut impl FnMut(String)) {
        let text = text.replace("\\|", "|");
        for part in text.split(['|', ';', '(', ')']).flat_map(|part| part.split("&&")) {
            let words: Vec<&str> = part.split_whitespace().skip_while(|word| word.contains('=')).collect();
            match words.as_slice() {
                ["cargo", "xtask", name, ..] if is_word(name) && !self.xtask.contains(*name) => {
                    tell(format!("there is no command `cargo xtask {name}`"));
                }
                ["wise-monitoring", name, ..] if is_word(name) && !self.binary.contains(*name) => {
                    tell(format!("there is no command `wise-monitoring {name}`"));
                }
                ["cargo", "test", rest @ ..] => self.check_test(rest, tell),
                _ => {}
            }
        }
    }

    fn check_test(&self, words: &[&str], tell: &mut impl FnMut(String)) {
        let after = |option: &str| {
            let at = words.iter().position(|word| *word == option)?;
            words.get(at + 1).copied()
        };
        let Some(package) = after("-p").filter(|name| !name.contains(char::is_uppercase)) else { return };
        let Some(Package { files, tests }) = self.packages.get(package) else {
            return tell(format!("there is no package {package}"));
        };
        if let Some(test) = after("--test")
            && !tests.contains(test)
        {
            tell(format!("{package} has no test `{test}`"));
        }
        let is_option = |index: usize| {
            words[index].starts_with('-') || (index > 0 && matches!(words[index - 1], "-p" | "--test"))
        };
        for (index, filter) in words.iter().enumerate().filter(|(index, _)| !is_option(*index)) {
            for name in filter.split("::").filter(|name| !name.is_empty()) {
                let is_file = |path: &str| {
                    let path = Path::new(path);
                    path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(name))
                        || path.parent().is_some_and(|folder| folder.ends_with(name))
                };
                let is_there = files.iter().any(|(path, text)| {
                    is_file(path)
                        || text.match_indices("fn ").any(|(at, _)| {
                            text[at + 3..].split('(').next().is_some_and(|function| function.contains(name))
                        })
                });
                if !is_there {
                    tell(format!("no test of {package} is called `{name}` (word {})", index + 1));
                }
            }
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !text.starts_with('-')
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn read_files(folder: &Path, files: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() {
                read_files(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}
