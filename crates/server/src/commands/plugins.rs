//! `wise-monitoring plugins`: what can be watched.

use std::process::ExitCode;

use wise_core::HumanDuration;

use crate::compose;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    for plugin in compose::registry()?.plugins() {
        say!("{}: {}", plugin.kind, plugin.title);
        say!("  {}", plugin.summary);
        for probe in plugin.probes {
            let (interval, timeout) = (HumanDuration(probe.interval), HumanDuration(probe.timeout));
            say!("  probe {}: every {interval}, deadline {timeout}", probe.name);
        }
        say!("  {} metrics, headline {}", plugin.metrics.len(), plugin.headline);
        let example = serde_json::to_string_pretty(&(plugin.example)())?;
        say!("  example settings:\n    {}", example.replace('\n', "\n    "));
    }
    Ok(ExitCode::SUCCESS)
}
