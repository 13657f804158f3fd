//! The binary: settings, composition root, command line.

/// As `println!`, for output that may be cut off: a reader that has seen enough is no reason to fail.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($text)*).ok();
    }};
}

mod cli;
mod commands;
mod compose;
mod environment;
mod event_log;
mod logging;
mod own_history;
mod past;
mod settings;
mod store;
mod uplink;

// Without this line the linker leaves every monitor out, and no one would say so.
use wise_all_monitors as _;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            // The chain of causes, one a line: the first says what was tried.
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
