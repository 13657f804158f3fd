//! Automation: `cargo xtask COMMAND`.

mod bench;
mod codegen;
mod new_monitor;
mod run;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  run                 get what is missing, build, and start on 127.0.0.1:8080
  test [GROUP…]       get what is missing, and run all tests, or those of the groups named
  ci                  what CI runs: format, lints, generated files, licences, tests, the README's commands
  soak                kill the server 50 times under load on each store, and look for what is lost
  bench [N…]          measure the dist binary with N website monitors at 1 s (default 1000 4000)
  bench monitors      measure the other kinds beside Debian's exporters
  bench start [N [D]] measure a start with N monitors and D days of history, and the overview
  bench store [N [D]] measure disk, writes and queries of history: N monitors, D days
  bench mongodb [N [S]]
                      measure the store in MongoDB beside the embedded one: N monitors, a check every S s
  codegen [--check]   write generated files, or fail when they are not up to date
  new-monitor NAME    write a new monitor crate and link it
  sync-monitors       link every crate under monitors/
  tidy                check licences, crates, folders, and what documents name, offline
  screenshot          make the README's screenshot
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or(&[]);
    let result = match arguments.first().map(String::as_str) {
        Some("run") => run::run(),
        Some("test") => test::test(rest),
        Some("ci") => test::ci(),
        Some("bench") => bench::bench(rest),
        Some("soak") => test::soak(),
        Some("codegen") => codegen::codegen(rest.iter().any(|argument| argument == "--check")),
        Some("new-monitor") => new_monitor::new_monitor(rest.first().map(String::as_str)),
        Some("sync-monitors") => new_monitor::sync(),
        Some("tidy") => tidy::tidy(),
        Some("screenshot") => test::screenshot(),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("there is no command `{other}`\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
