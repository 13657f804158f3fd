//! Writes a `use` for each crate under `monitors/`, and refuses to build when one is missing in Cargo.toml.

use std::fs;
use std::path::PathBuf;

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let monitors = manifest.join("../../monitors");
    println!("cargo::rerun-if-changed={}", monitors.display());
    println!("cargo::rerun-if-changed=Cargo.toml");
    let own = fs::read_to_string(manifest.join("Cargo.toml")).expect("our own manifest can be read");
    let mut names: Vec<String> = fs::read_dir(&monitors)
        .expect("monitors/ can be listed")
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.ok()?.path().join("Cargo.toml")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("name = "))?;
            Some(line.trim().trim_matches('"').to_owned())
        })
        .collect();
    names.sort();
    let mut source = String::new();
    for name in &names {
        if own.lines().any(|line| line.starts_with(&format!("{name} = "))) {
            source.push_str(&format!("use {} as _;\n", name.replace('-', "_")));
        } else {
            println!(
                "cargo::error={name} is not linked: add the line `{name} = {{ path = \"../../monitors/{}\" }}` to \
                 crates/all-monitors/Cargo.toml, or run `cargo xtask sync-monitors`",
                name.trim_start_matches("wise-monitor-")
            );
        }
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("link.rs"), source).expect("OUT_DIR can be written");
}
