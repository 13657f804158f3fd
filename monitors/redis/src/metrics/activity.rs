//! What the server does.

use wise_core::{MetricSpec, Threshold};

use super::seconds;

wise_core::metrics! {
    /// Measurements of the activity probe.
    pub(crate) ALL;

    // Connections.
    CONNECTIONS = MetricSpec::count("redis.connections.open_count", "Connections",
        "Connections of clients, ours included, connected_clients of INFO; replicas are not among them");
    CONNECTIONS_LIMIT = MetricSpec::count("redis.connections.limit_count", "Connection limit", "maxclients, from INFO, or from CONFIG GET before Redis 7");
    CONNECTIONS_USED = MetricSpec::ratio("redis.connections.used_ratio", "Connections used",
        "Open connections, those of replicas and of the cluster bus included, over maxclients; beyond it new ones are refused")
        .threshold(Threshold::above(Some(0.8), Some(0.95)).hysteresis(0.05));
    CONNECTIONS_RECEIVED = MetricSpec::total("redis.connections.received_total", "Connections accepted", "Connections accepted since the start, total_connections_received");
    CONNECTIONS_REJECTED = MetricSpec::total("redis.connections.rejected_total", "Connections rejected", "Connections refused because maxclients was reached, rejected_connections");
    CONNECTIONS_REJECTED_NEW = MetricSpec::count("redis.connections.rejected_new_count", "Newly rejected connections",
        "Connections refused because of maxclients since the last check")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    BLOCKED = MetricSpec::count("redis.connections.blocked_count", "Blocked clients", "Clients that wait in BLPOP, XREAD, WAIT and the like, blocked_clients");

    // Work.
    COMMANDS = MetricSpec::total("redis.commands_total", "Commands", "Commands processed since the start, total_commands_processed");
    ERROR_REPLIES = MetricSpec::total("redis.error_replies_total", "Error replies", "Answers that were errors, total_error_replies; Redis 6.2 and later");
    ERRORS = MetricSpec::total("redis.errors_total", "Errors by kind",
        "Error answers by their first word (label error), the twenty most frequent, from INFO errorstats; Redis 6.2 and later");
    AUTH_DENIED = MetricSpec::total("redis.auth.denied_total", "Failed logins", "Logins that were refused, acl_access_denied_auth; Redis 7.2 and later");
    COMMAND_CALLS = MetricSpec::total("redis.command.calls_total", "Calls of a command",
        "Calls of a command (label command), those that took most time since the last check, from INFO commandstats");
    COMMAND_SECONDS = MetricSpec::latency("redis.command.mean_seconds", "Time of a command",
        "Mean time of a command's calls since the last check (label command), of those that took most time all in all");
    COMMAND_FAILED = MetricSpec::total("redis.command.failed_total", "Failed calls of a command", "Calls that failed (label command), failed_calls of INFO commandstats; Redis 6.2 and later");
    COMMAND_P50 = MetricSpec::latency("redis.command.p50_seconds", "Median of a command", "Median since the start (label command), from INFO latencystats; Redis 7 and later");
    COMMAND_P99 = MetricSpec::latency("redis.command.p99_seconds", "99th percentile of a command", "99th percentile since the start (label command), from INFO latencystats; Redis 7 and later");
    COMMAND_P999 = MetricSpec::latency("redis.command.p999_seconds", "99.9th percentile of a command", "99.9th percentile since the start (label command), from INFO latencystats; Redis 7 and later");
    SLOWLOG = MetricSpec::total("redis.slowlog.entries_total", "Slow commands",
        "Entries ever made in the slow log, from the id of the newest: its length stands still at slowlog-max-len");
    SLOWLOG_NEW = MetricSpec::count("redis.slowlog.new_count", "New slow commands", "Entries of the slow log since the last check")
        .threshold(Threshold::above(Some(30.0), None).checks(2));
    LATENCY_LATEST = MetricSpec::latency("redis.latency.latest_seconds", "Latency event",
        "The latest event of a kind (label event), from LATENCY LATEST; needs latency-monitor-threshold");
    LATENCY_MAX = MetricSpec::latency("redis.latency.worst_seconds", "Worst latency event",
        "The worst event of a kind (label event) since the last reset, from LATENCY LATEST");
    CPU_SYSTEM = MetricSpec::total("redis.cpu.system_seconds_total", "CPU, system", "Seconds the server spent in the kernel, used_cpu_sys");
    CPU_USER = MetricSpec::total("redis.cpu.user_seconds_total", "CPU, user", "Seconds the server spent in its own code, used_cpu_user");
    RECEIVED = MetricSpec::total("redis.network.received_bytes_total", "Bytes received", "Bytes read from clients, total_net_input_bytes");
    SENT = MetricSpec::total("redis.network.sent_bytes_total", "Bytes sent", "Bytes written to clients, total_net_output_bytes");

    // Keys.
    HITS = MetricSpec::total("redis.keyspace.hits_total", "Hits", "Look-ups that found their key, keyspace_hits");
    MISSES = MetricSpec::total("redis.keyspace.misses_total", "Misses", "Look-ups that found nothing, keyspace_misses");
    HIT_RATIO = MetricSpec::ratio("redis.keyspace.hit_ratio", "Hit ratio",
        "Share of look-ups since the last check that found their key; not there when there were fewer than a hundred");
    EVICTED = MetricSpec::total("redis.keys.evicted_total", "Evicted keys", "Keys removed because of maxmemory, evicted_keys: normal for a cache");
    EXPIRED = MetricSpec::total("redis.keys.expired_total", "Expired keys", "Keys removed because their time was over, expired_keys");

    // Memory.
    MEMORY_USED = MetricSpec::bytes("redis.memory.used_bytes", "Memory used", "Memory that the server has allocated, used_memory");
    MEMORY_LIMIT = MetricSpec::bytes("redis.memory.limit_bytes", "Memory limit", "maxmemory; not there when it is 0, which is unlimited");
    MEMORY_USED_RATIO = MetricSpec::ratio("redis.memory.used_ratio", "Memory used of the limit",
        "used_memory without what does not count for eviction, over maxmemory; not there without a limit");
    MEMORY_NOEVICT_RATIO = MetricSpec::ratio("redis.memory.noeviction_used_ratio", "Memory used, nothing evicted",
        "The same where nothing may be evicted (maxmemory-policy noeviction): at 1 the server refuses writes")
        .threshold(Threshold::above(Some(0.9), None).hysteresis(0.05).checks(2));
    MEMORY_OF_SYSTEM = MetricSpec::ratio("redis.memory.of_system_ratio", "Memory used of the machine",
        "used_memory over total_system_memory, where there is no maxmemory: then the machine is the limit")
        .threshold(Threshold::above(Some(0.8), Some(0.95)).hysteresis(0.05).checks(2));
    MEMORY_RSS = MetricSpec::bytes("redis.memory.resident_bytes", "Resident memory", "Memory the process holds as the system sees it, used_memory_rss");
    MEMORY_PEAK = MetricSpec::bytes("redis.memory.peak_bytes", "Peak memory", "The most it ever had allocated, used_memory_peak");
    FRAGMENTATION_BYTES = MetricSpec::bytes("redis.memory.fragmentation_bytes", "Fragmentation", "Resident beyond allocated memory, mem_fragmentation_bytes; negative when memory is swapped out");
    FRAGMENTATION = MetricSpec::gauge("redis.memory.fragmentation_ratio", "ratio", "Fragmentation",
        "Resident over allocated memory, mem_fragmentation_ratio; only given where more than 100 MB are lost, or memory may be swapped out (below 1)")
        .resolution(0.01).threshold(Threshold::above(Some(1.5), None).checks(3));

    // Persistence.
    RDB_OK = MetricSpec::state("redis.persistence.rdb_ok_state", "Last save worked", "1 when the last RDB save worked, 0 when it failed, rdb_last_bgsave_status")
        .threshold(Threshold::below(None, Some(0.0)));
    RDB_CHANGES = MetricSpec::count("redis.persistence.unsaved_changes_count", "Unsaved changes", "Changes since the last save, rdb_changes_since_last_save");
    RDB_AGE = seconds("redis.persistence.last_save_age_seconds", "Age of the last save",
        "Time since the last RDB save while there are save points and unsaved changes; not there before the first save, because the server then gives its own start")
        .threshold(Threshold::above(Some(172_800.0), None));
    RDB_RUNNING = seconds("redis.persistence.save_running_seconds", "Save running for", "How long the RDB save under way takes already; not there when none is")
        .threshold(Threshold::above(Some(600.0), Some(1200.0)));
    AOF_OK = MetricSpec::state("redis.persistence.aof_ok_state", "Append-only file written", "1 when the last write to the append-only file worked, aof_last_write_status; only where it is on")
        .threshold(Threshold::below(None, Some(0.0)));
    AOF_REWRITE_OK = MetricSpec::state("redis.persistence.aof_rewrite_ok_state", "Last rewrite worked", "1 when the last rewrite of the append-only file worked; only where it is on")
        .threshold(Threshold::below(Some(0.0), None));
    AOF_REWRITE_FAILURES = MetricSpec::count("redis.persistence.aof_rewrite_failures_count", "Failed rewrites in a row",
        "Rewrites of the append-only file that failed in a row, aof_rewrites_consecutive_failures; Redis 7 and later");
    DELAYED_FSYNC = MetricSpec::total("redis.persistence.delayed_fsync_total", "Delayed fsyncs", "Times that a write waited for the disk, aof_delayed_fsync; only where the file is on");
    FORK = MetricSpec::latency("redis.persistence.fork_seconds", "Fork", "How long the latest fork stopped the server, latest_fork_usec; not there before the first");
}
