//! `cargo xtask tidy`: rules that no compiler checks, offline. `packages` looks at what is linked, `documents` at what the
//! documents say.

mod documents;
mod packages;

use std::path::Path;

use anyhow::bail;
use serde_json::Value;

use crate::shell::{command, output, root};

/// What may stand in the root.
const ROOT: [&str; 24] = [
    ".cargo",
    ".ci",
    ".env.example",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "config",
    "crates",
    "dashboard",
    "docs",
    "examples",
    "monitors",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "xtask",
];
pub(crate) fn tidy() -> anyhow::Result<()> {
    let metadata: Value = serde_json::from_str(&output(&mut command(
        "cargo",
        &["metadata", "--locked", "--format-version", "1"],
    ))?)?;
    let mut problems = Vec::new();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    packages::check(&packages, &mut problems)?;
    documents::check(&packages, &mut problems)?;
    for file in output(&mut command("git", &["ls-files"]))?.lines() {
        let top = file.split('/').next().unwrap_or(file);
        if !ROOT.contains(&top) {
            problems.push(format!("{file}: `{top}` does not belong in the root"));
        }
        if Path::new(file).extension().is_some_and(|extension| extension == "rs") {
            source(file, &mut problems)?;
        }
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    if problems.is_empty() {
        println!("tidy: {} packages, licences and folders are in order", packages.len());
        return Ok(());
    }
    bail!("{} problems", problems.len())
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn source(file: &str, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join(file))?;
    let is_test = file.contains("/tests/") || file.ends_with("tests.rs");
    if !is_test && text.lines().count() > 750 {
        problems.push(format!(
            "{file}: {} lines; does it still have one reason to change?",
            text.lines().count()
        ));
    }
    if file != "xtask/src/tidy/mod.rs" && (text.contains("#[allow(") || text.contains("#[ignore")) {
        problems.push(format!("{file}: use #[expect(lint, reason = \"…\")], and no ignored tests"));
    }
    Ok(())
}
