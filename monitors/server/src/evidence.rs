//! What is written down beside the readings.

use std::time::Duration;

use serde_json::{Value, json};
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::Instant;

/// Processes of each list.
const TOP: usize = 10;

/// The processes with the most CPU and memory, by name: command lines often hold secrets. `None` when there was not
/// enough time, since CPU is measured between two looks.
pub(crate) async fn processes(until: Instant) -> Option<Value> {
    let looked = tokio::time::timeout_at(until, look(System::new().ok()?)).await.ok()??;
    let wait = MINIMUM_CPU_UPDATE_INTERVAL + Duration::from_millis(50);
    tokio::time::timeout_at(until, tokio::time::sleep(wait)).await.ok()?;
    let system = tokio::time::timeout_at(until, look(looked)).await.ok()??;
    Some(top(&system))
}

async fn look(mut system: System) -> Option<System> {
    // Dropped afterwards: between looks it keeps a file open for each process.
    let looked = tokio::task::spawn_blocking(move || {
        system.refresh_memory();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        system
    });
    looked.await.ok()
}

fn top(system: &System) -> Value {
    let memory = (system.total_memory() as f64).max(1.0);
    let mut processes: Vec<_> = system
        .processes()
        .values()
        .map(|process| {
            let name = process.name().to_string_lossy().into_owned();
            (name, process.pid().as_u32(), f64::from(process.cpu_usage()) / 100.0, process.memory())
        })
        .collect();
    let show = |processes: &[(String, u32, f64, u64)]| -> Vec<Value> {
        let lines = processes.iter().take(TOP).map(|(name, pid, cores, bytes)| {
            let share = (*bytes as f64 / memory * 1e4).round() / 1e4;
            json!({"name": name, "pid": pid, "cores": (cores * 1e3).round() / 1e3, "memory_bytes": bytes, "memory_ratio": share})
        });
        lines.collect()
    };
    processes.sort_by(|a, b| b.2.total_cmp(&a.2));
    let by_cpu = show(&processes);
    processes.sort_by_key(|process| std::cmp::Reverse(process.3));
    let by_memory = show(&processes);
    json!({"top_by_cpu": by_cpu, "top_by_memory": by_memory})
}
