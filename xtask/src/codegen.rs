//! `cargo xtask codegen`: files made from the code.

use std::fs;

use anyhow::bail;

use crate::shell::{command, output, root, run, target};

/// What the binary writes, and where it goes.
const FILES: [(&str, &str); 4] = [
    ("env-example", ".env.example"),
    ("configuration", "docs/configuration.md"),
    ("openapi", "docs/openapi.json"),
    ("monitors", "docs/monitors"),
];

pub(crate) fn codegen(check: bool) -> anyhow::Result<()> {
    run(&mut command("cargo", &["build", "--quiet", "-p", "wise-monitoring"]))?;
    let binary = target().join("debug/wise-monitoring").display().to_string();
    let mut stale = Vec::new();
    for (what, path) in FILES {
        let text = output(&mut command(&binary, &["generate", what]))?;
        if what == "monitors" {
            // One file a kind, each behind a line with its name.
            for part in text.split("\u{c}").filter(|part| !part.trim().is_empty()) {
                let (kind, page) = part.split_once('\n').unwrap_or((part, ""));
                put(&format!("{path}/{}.md", kind.trim()), page, check, &mut stale)?;
            }
        } else {
            put(path, &text, check, &mut stale)?;
        }
    }
    if stale.is_empty() {
        println!("generated files are up to date");
        return Ok(());
    }
    bail!("not up to date: {}; run `cargo xtask codegen` and commit what it writes", stale.join(", "))
}

fn put(path: &str, text: &str, check: bool, stale: &mut Vec<String>) -> anyhow::Result<()> {
    let file = root().join(path);
    if fs::read_to_string(&file).ok().as_deref() == Some(text) {
        return Ok(());
    }
    if check {
        stale.push(path.to_owned());
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&file, text)?;
    println!("wrote {path}");
    Ok(())
}
