//! `cargo xtask run`: from a fresh clone to a running server.

use std::os::unix::process::CommandExt;

use crate::setup;
use crate::shell::{self, command, target};

pub(crate) fn run() -> anyhow::Result<()> {
    setup::for_build()?;
    build_dist()?;
    println!("starting; stop it with Ctrl-C");
    let binary = target().join("dist/wise-monitoring").display().to_string();
    // Takes this process's place, so that signals reach the server itself.
    Err(command(&binary, &["serve"]).exec().into())
}

/// Builds the binary as it is released.
pub(crate) fn build_dist() -> anyhow::Result<()> {
    println!("building the dist profile: about 5 minutes on 2 cores the first time");
    shell::run(&mut command("cargo", &["build", "--profile", "dist", "--locked", "-p", "wise-monitoring"]))
}
