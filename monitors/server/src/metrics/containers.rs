//! Containers, label container.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Measurements of containers.
    pub(crate) ALL;

    COUNT = MetricSpec::count("server.container.count", "Containers", "Control groups of running containers that were found");
    LEFT_OUT = MetricSpec::count("server.container.left_out_count", "Containers left out", "Containers beyond the number asked for, those with the least memory");

    CPU_CORES = MetricSpec::gauge("server.container.cpu.used_cores_count", "count", "Container CPU", "Cores used, averaged over the interval").resolution(0.0001);
    CPU_LIMIT = MetricSpec::gauge("server.container.cpu.limit_cores_count", "count", "Container CPU limit", "Cores that its quota, or that of a group above it, allows; left out without one").resolution(0.001);
    CPU_RATIO = MetricSpec::ratio("server.container.cpu.used_of_limit_ratio", "Container CPU of limit", "Cores used over the quota; left out without one")
        .threshold(Threshold::above(Some(0.95), None).hysteresis(0.05).checks(10));
    CPU_SECONDS = MetricSpec::total("server.container.cpu.seconds_total", "Container CPU time", "CPU time since it was started, in seconds");
    THROTTLED_RATIO = MetricSpec::ratio("server.container.cpu.throttled_ratio", "Container throttled", "Share of the quota's periods in which it was held back")
        .threshold(Threshold::above(Some(0.25), None).checks(10));
    THROTTLED_SECONDS = MetricSpec::total("server.container.cpu.throttled_seconds_total", "Container throttled time", "Time for which it was held back since it was started, in seconds");

    WORKING_SET = MetricSpec::bytes("server.container.memory.working_set_bytes", "Container memory", "Memory in use less inactive file pages, which can be dropped");
    MEMORY_LIMIT = MetricSpec::bytes("server.container.memory.limit_bytes", "Container memory limit", "The smallest limit of its group and those above; left out without one");
    MEMORY_RATIO = MetricSpec::ratio("server.container.memory.used_of_limit_ratio", "Container memory of limit", "Working set over limit; left out without one")
        .threshold(Threshold::above(Some(0.9), Some(0.98)).hysteresis(0.03).checks(3));
    ANON = MetricSpec::bytes("server.container.memory.anon_bytes", "Container anonymous memory", "Memory of programs, not of files");
    FILE = MetricSpec::bytes("server.container.memory.file_bytes", "Container file memory", "Files kept in memory");
    SHARED = MetricSpec::bytes("server.container.memory.shared_bytes", "Container shared memory", "Shared memory and tmpfs");
    SWAP = MetricSpec::bytes("server.container.memory.swap_bytes", "Container swap", "Swap space in use");
    OOM_KILLS = MetricSpec::total("server.container.memory.oom_kills_total", "Container OOM kills", "Processes killed at the limit; begins again with the group");
    OOM_RECENT = MetricSpec::count("server.container.memory.oom_kills_recent_count", "Container OOM kills, 30 min", "Processes killed at the limit in the last 30 minutes that we watched")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    HIGH_EVENTS = MetricSpec::total("server.container.memory.high_events_total", "Container over memory.high", "Times it was slowed down at memory.high, control groups of version 2 only");
    MAX_EVENTS = MetricSpec::total("server.container.memory.max_events_total", "Container at memory limit", "Times memory had to be freed at the limit");

    PRESSURE_CPU = MetricSpec::ratio("server.container.pressure.cpu.some_ratio", "Container CPU pressure", "Share of time in which some task waited for a core, version 2 only");
    PRESSURE_MEMORY = MetricSpec::ratio("server.container.pressure.memory.some_ratio", "Container memory pressure", "Share of time in which some task waited for memory");
    PRESSURE_MEMORY_FULL = MetricSpec::ratio("server.container.pressure.memory.full_ratio", "Container memory pressure, all", "Share of time in which all tasks waited for memory")
        .threshold(Threshold::above(Some(0.05), Some(0.2)).checks(10));
    PRESSURE_IO = MetricSpec::ratio("server.container.pressure.io.some_ratio", "Container disk pressure", "Share of time in which some task waited for a disk");

    READ_BYTES = MetricSpec::total("server.container.io.read_bytes_total", "Container read", "Bytes read from devices");
    WRITTEN_BYTES = MetricSpec::total("server.container.io.written_bytes_total", "Container written", "Bytes written to devices");
    READS = MetricSpec::total("server.container.io.reads_total", "Container reads", "Reads from devices");
    WRITES = MetricSpec::total("server.container.io.writes_total", "Container writes", "Writes to devices");
    PIDS = MetricSpec::count("server.container.pids.current_count", "Container threads", "Processes and threads in it");
    PIDS_RATIO = MetricSpec::ratio("server.container.pids.used_ratio", "Container threads of limit", "Processes and threads over the limit; left out without one")
        .threshold(Threshold::above(Some(0.9), None));
    RX_BYTES = MetricSpec::total("server.container.network.received_bytes_total", "Container received", "Bytes received; left out for one on the host's network or without the right to look");
    TX_BYTES = MetricSpec::total("server.container.network.sent_bytes_total", "Container sent", "Bytes sent, as above");

    // From the Docker socket.
    RUNNING = MetricSpec::state("server.container.running_state", "Container running", "1 when Docker says running, 0 for created, exited, paused, restarting or dead");
    RESTARTS = MetricSpec::total("server.container.restarts_total", "Container restarts", "Times Docker has restarted it");
    RESTARTS_RECENT = MetricSpec::count("server.container.restarts_recent_count", "Container restarts, 10 min", "Restarts by Docker in the last ten minutes that we watched")
        .threshold(Threshold::above(Some(3.0), None).hysteresis(0.0));
    HEALTH = MetricSpec::state("server.container.health_state", "Container health", "0 healthy, 1 starting, 2 unhealthy; left out without a HEALTHCHECK")
        .threshold(Threshold::above(Some(2.0), None).hysteresis(0.0));
    EXIT_CODE = MetricSpec::state("server.container.exit_code_state", "Container exit code", "How it ended, of one that does not run; 137 is a kill");
    OOM_KILLED = MetricSpec::state("server.container.oom_killed_state", "Container ended by OOM", "1 when it does not run and was killed for want of memory")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    AGE = MetricSpec::gauge("server.container.uptime_seconds", "seconds", "Container uptime", "Time since it was started").resolution(1.0);
    LAYER = MetricSpec::bytes("server.container.writable_layer_bytes", "Container writable layer", "What it wrote over its image, once an hour");
    VOLUME = MetricSpec::bytes("server.container.volume_bytes", "Volume", "Size of a volume (label volume), once an hour");
}
