//! Packages: licences, versions, unused dependencies, and which crate of ours may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::text;
use crate::shell::{command, output, root};

/// Licences that may be linked. Each alternative of an expression is enough.
const LICENCES: [&str; 13] = [
    "MIT",
    "Apache-2.0",
    "Unicode-3.0",
    "Zlib",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    "Unlicense",
    "MIT-0",
    "CDLA-Permissive-2.0",
];
/// Crates that must not come in: a second TLS stack, and abandoned or vulnerable ones.
const BANNED: [&str; 8] = [
    "openssl-sys",
    "native-tls",
    "aws-lc-sys",
    "aws-lc-rs",
    "dotenv",
    "backoff",
    "evalexpr",
    "actix-governor",
];
/// Crates that are there in several versions: why, and since when. Ours are the newest; an older one comes with a
/// dependency that has not moved yet.
const SEVERAL_VERSIONS: [(&str, &str); 16] = [
    ("base64", "2026-11: mongodb, mysql_common and postgres-protocol have 0.22"),
    ("block-buffer", "2026-11: mysql_common hashes with RustCrypto 0.10"),
    ("cpufeatures", "2026-11: mysql_common hashes with RustCrypto 0.10"),
    ("crypto-common", "2026-11: mysql_common hashes with RustCrypto 0.10"),
    ("digest", "2026-11: mysql_common hashes with RustCrypto 0.10"),
    ("sha1", "2026-11: mysql_common hashes with RustCrypto 0.10"),
    ("sha2", "2026-11: mysql_common hashes with RustCrypto 0.10"),
    ("fallible-iterator", "2026-11: tokio-postgres has 0.2, rusqlite 0.3"),
    ("getrandom", "2026-11: ring has 0.2, ahash 0.3"),
    ("http", "2026-11: actix-web 4 has 0.2, hyper 1"),
    ("rand", "2026-11: fred has 0.8, bson 0.9"),
    ("rand_chacha", "2026-11: fred and bson, as rand"),
    ("rand_core", "2026-11: fred and bson, as rand"),
    ("socket2", "2026-11: fred has 0.5"),
    ("syn", "2026-11: procedural macros move to 3 one by one"),
    ("synstructure", "2026-11: procedural macros move to syn 3 one by one"),
];
/// Checks them all.
pub(super) fn check(packages: &[Value], problems: &mut Vec<String>) -> anyhow::Result<()> {
    let picture = picture(packages, problems)?;
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        if !is_allowed(licence) {
            problems.push(format!("{name}: the licence `{licence}` is not among the allowed ones"));
        }
        if BANNED.contains(&name) {
            problems.push(format!("{name} is banned: see xtask/src/tidy/packages.rs"));
        }
        if package["source"].is_null() {
            arrows(package, &picture, problems);
            unused(package, problems)?;
        }
        versions.entry(name).or_default().insert(text(package, "version"));
    }
    for (name, found) in &versions {
        let has_reason = SEVERAL_VERSIONS.iter().any(|(known, _)| known == name);
        if has_reason && found.len() == 1 {
            problems.push(format!("{name} is there in one version: xtask/src/tidy/packages.rs says several"));
        }
        if found.len() > 1 && !has_reason && is_linked(name, found)? {
            let all: Vec<&str> = found.iter().copied().collect();
            problems.push(format!(
                "{name} is linked in versions {}: find one, or write down why in xtask/src/tidy/packages.rs",
                all.join(" and ")
            ));
        }
    }
    Ok(())
}

/// Whether several of these versions are part of a build for this machine.
fn is_linked(name: &str, versions: &BTreeSet<&str>) -> anyhow::Result<bool> {
    let mut count = 0;
    for version in versions {
        let which = format!("{name}@{version}");
        let tree = output(&mut command(
            "cargo",
            &["tree", "--quiet", "--locked", "--workspace", "--depth", "0", "--invert", &which],
        ));
        count += usize::from(tree.is_ok_and(|tree| !tree.trim().is_empty()));
    }
    Ok(count > 1)
}

/// Reads an SPDX expression as far as it is used: alternatives of conjunctions.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ").replace(" WITH LLVM-exception", "");
    let is_fine = |part: &str| part.split(" AND ").all(|licence| LICENCES.contains(&licence.trim()));
    // `(A OR B) AND C` loses its brackets: then each licence named must be allowed.
    let all: BTreeSet<&str> =
        plain.split(" OR ").flat_map(|part| part.split(" AND ")).map(str::trim).collect();
    plain.split(" OR ").any(is_fine) || all.iter().all(|licence| LICENCES.contains(licence))
}

/// Which crates of ours a crate may know: `None` for all. From the code map in ARCHITECTURE.md, where every crate stands.
type Picture = BTreeMap<String, Option<BTreeSet<String>>>;

fn picture(packages: &[Value], problems: &mut Vec<String>) -> anyhow::Result<Picture> {
    let document = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let map = document.split("## Code map").nth(1).and_then(|rest| rest.split("\n## ").next());
    let map = map.context("ARCHITECTURE.md has no code map")?;
    let mut picture = Picture::new();
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, name, .., known] = cells.as_slice() else { continue };
        let known = match *known {
            "everything" => None,
            words => {
                let ours = |word: &str| format!("wise-{}", word.trim());
                Some(words.split(',').map(ours).collect())
            }
        };
        picture.insert((*name).to_owned(), known);
    }
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        let name = text(package, "name");
        if !name.starts_with("wise-monitor-") && !picture.contains_key(name) {
            problems.push(format!("{name} is not in the code map of ARCHITECTURE.md: say what it may know"));
        }
    }
    Ok(picture)
}

fn arrows(package: &Value, picture: &Picture, problems: &mut Vec<String>) {
    let name = text(package, "name");
    let row = if name.starts_with("wise-monitor-") { "wise-monitor-*" } else { name };
    let Some(Some(allowed)) = picture.get(row) else { return };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let other = text(dependency, "name");
        let links_monitors = allowed.contains("wise-the monitors") && other.starts_with("wise-monitor-");
        if dependency["kind"].is_null()
            && other.starts_with("wise-")
            && !allowed.contains(other)
            && !links_monitors
        {
            problems.push(format!(
                "{name} must not depend on {other}: dependencies point one way, see ARCHITECTURE.md"
            ));
        }
    }
}

/// A dependency that no source of the package names is not needed.
fn unused(package: &Value, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let name = text(package, "name");
    // It links what it lists, and has no code.
    if name == "wise-all-monitors" {
        return Ok(());
    }
    let manifest = Path::new(text(package, "manifest_path"));
    let folder = manifest.parent().context("a package has no folder")?;
    let mut sources = String::new();
    read_sources(folder, &mut sources)?;
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let given = text(dependency, "rename");
        let known = if given.is_empty() { text(dependency, "name") } else { given };
        let ident = known.replace('-', "_");
        let is_named = sources.match_indices(&ident).any(|(at, _)| {
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !is_part(sources[..at].chars().next_back())
                && !is_part(sources[at + ident.len()..].chars().next())
        });
        if !is_named {
            problems.push(format!("{name} does not use its dependency {known}"));
        }
    }
    Ok(())
}

fn read_sources(folder: &Path, text: &mut String) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            // Another package may stand below this one.
            if !path.join("Cargo.toml").exists() {
                read_sources(&path, text)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
