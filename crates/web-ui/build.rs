//! Builds the dashboard with npm and writes a table of its files.
//!
//! `UI_DIST=DIR` takes a built dashboard instead, `UI_SKIP=1` a placeholder page, for work on the server alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sha2::{Digest, Sha256};

const SOURCES: [&str; 8] = [
    "src",
    "public",
    "build",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "tsconfig.json",
];
const NEEDS: &str = "install Node.js 20.19 or later with npm, or set UI_DIST to a built dashboard, or UI_SKIP=1 to leave it out";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let ui = manifest.join("../../dashboard");
    println!("cargo::rerun-if-env-changed=UI_DIST");
    println!("cargo::rerun-if-env-changed=UI_SKIP");
    println!("cargo::rerun-if-changed=build.rs");
    let dist = if let Some(dist) = env::var_os("UI_DIST") {
        let dist = PathBuf::from(dist);
        println!("cargo::rerun-if-changed={}", dist.display());
        dist
    } else if env::var_os("UI_SKIP").is_some() {
        placeholder(&out)
    } else {
        for source in SOURCES.iter().map(|source| ui.join(source)).filter(|source| source.exists()) {
            println!("cargo::rerun-if-changed={}", source.display());
        }
        build(&ui, &out)
    };
    fs::write(out.join("assets.rs"), table(&dist)).expect("OUT_DIR can be written");
}

fn placeholder(out: &Path) -> PathBuf {
    let dist = out.join("placeholder");
    fs::create_dir_all(&dist).expect("OUT_DIR can be written");
    let page = "<!doctype html><html lang=en><title>wise-monitoring</title><h1>wise-monitoring</h1>\
                <p>This build has no dashboard. The API is at <a href=api/v1/openapi.json>/api/v1</a>.";
    fs::write(dist.join("index.html"), page).expect("OUT_DIR can be written");
    dist
}

fn build(ui: &Path, out: &Path) -> PathBuf {
    // The same mark that `cargo xtask test` leaves: one installation serves both.
    let lock = fs::read(ui.join("package-lock.json")).unwrap_or_default();
    let stamp = ui.join("node_modules/.installed");
    if fs::read(&stamp).ok().as_deref() != Some(lock.as_slice()) {
        run(ui, &["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund"]);
        fs::write(&stamp, &lock).expect("node_modules can be written");
    }
    let dist = out.join("dist");
    let target = dist.to_str().expect("OUT_DIR is UTF-8");
    run(ui, &["exec", "--", "vite", "build", "--emptyOutDir", "--outDir", target]);
    dist
}

fn run(ui: &Path, arguments: &[&str]) {
    // NODE_ENV would make npm leave out what the build needs, or Vite embed its development build.
    let output = Command::new("npm").args(arguments).current_dir(ui).env_remove("NODE_ENV").output();
    let output = output.unwrap_or_else(|error| {
        panic!("the dashboard cannot be built, npm does not start ({error}): {NEEDS}")
    });
    assert!(
        output.status.success(),
        "`npm {}` failed: {NEEDS}\n{}\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Rust source of the table, sorted by path.
fn table(dist: &Path) -> String {
    let mut files = Vec::new();
    list(dist, dist, &mut files);
    files.sort();
    assert!(files.iter().any(|file| file == "index.html"), "there is no index.html in {}", dist.display());
    let mut source = String::from("static ASSETS: &[Asset] = &[\n");
    for file in &files {
        let path = dist.join(file);
        let bytes = fs::read(&path).expect("a listed file can be read");
        let compressed = |suffix: &str| {
            let other = PathBuf::from(format!("{}.{suffix}", path.display()));
            match fs::metadata(&other) {
                Ok(found) if found.len() < bytes.len() as u64 => {
                    format!("Some(include_bytes!({:?}))", other.display().to_string())
                }
                _ => "None".to_owned(),
            }
        };
        writeln!(
            source,
            "    Asset {{ path: {file:?}, content_type: {:?}, etag: {:?}, immutable: {}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
            content_type(file),
            &hex(&bytes)[..16],
            file.starts_with("assets/"),
            path.display().to_string(),
            compressed("br"),
            compressed("gz"),
        )
        .expect("writing to a string");
    }
    source.push_str("];\n");
    source
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            list(root, &path, files);
            continue;
        }
        let name = path
            .strip_prefix(root)
            .expect("below the root")
            .to_str()
            .expect("names are UTF-8")
            .replace('\\', "/");
        if ![".br", ".gz", ".map"].iter().any(|suffix| name.ends_with(suffix)) {
            files.push(name);
        }
    }
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
