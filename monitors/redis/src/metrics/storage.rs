//! What is stored.

use wise_core::{MetricSpec, Threshold};

use super::seconds;

wise_core::metrics! {
    /// Measurements of the storage probe.
    pub(crate) ALL;
    USED = MetricSpec::bytes("redis.storage.used_bytes", "Used", "Memory that the server has allocated, used_memory: what grows with the data");
    LIMIT = MetricSpec::bytes("redis.storage.limit_bytes", "Limit", "quota_bytes of the settings, or maxmemory; not there without a limit");
    DATASET = MetricSpec::bytes("redis.storage.dataset_bytes", "Data", "Memory of keys and values, used_memory_dataset");
    OVERHEAD = MetricSpec::bytes("redis.storage.overhead_bytes", "Overhead", "Memory of buffers, connections and tables, used_memory_overhead");
    GROWTH = MetricSpec::bytes("redis.storage.growth_per_day_bytes", "Growth per day",
        "How much used memory grows a day, by a robust fit over the window (label window: 24h, 7d, 30d)");
    FULL_IN = MetricSpec::gauge("redis.storage.full_in_days", "days", "Full in",
        "Days until the limit at the growth of the window (label window); not there without a limit or a trend")
        .resolution(0.01).threshold(Threshold::below(Some(7.0), Some(1.0)).hysteresis(0.2).checks(2));
    KEYS = MetricSpec::count("redis.keys_count", "Keys", "Keys in a database (label database), from INFO keyspace");
    EXPIRES = MetricSpec::count("redis.keys.expiring_count", "Keys that expire", "Keys with a time to live in a database (label database)");
    TTL = seconds("redis.keys.mean_ttl_seconds", "Mean time to live", "Mean time to live of the keys that expire, as the server samples it (label database)");
    AOF_SIZE = MetricSpec::bytes("redis.storage.aof_bytes", "Append-only file", "Size of the append-only file, aof_current_size; only where it is on");
    AOF_BASE = MetricSpec::bytes("redis.storage.aof_base_bytes", "Append-only file after the rewrite", "Its size after the last rewrite or at the start, aof_base_size");
    COPY_ON_WRITE = MetricSpec::bytes("redis.storage.save_extra_bytes", "Extra memory of the last save", "Memory that the last RDB save took beside, rdb_last_cow_size");
    KEY_SIZE = MetricSpec::bytes("redis.key.size_bytes", "Largest keys", "Memory of the largest keys sampled so far (label key), from SCAN and MEMORY USAGE; only with sample_keys, and only on a replica");
    KEYS_SAMPLED = MetricSpec::count("redis.key.sampled_count", "Keys sampled", "Keys looked at in this check; only with sample_keys, and only on a replica");
}
