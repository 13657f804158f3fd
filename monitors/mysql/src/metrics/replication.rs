//! What the replication probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    CHANNELS = MetricSpec::gauge(
        "mysql.replica.channels_count", "count", "Replication channels", "Channels by which this server replicates")
        .resolution(1.0);
    IO_STATE = MetricSpec::gauge(
        "mysql.replica.io_running_state", "state", "Receiver", "By channel: 1 receives, 2 connects, 0 stopped")
        .resolution(1.0);
    SQL_STATE = MetricSpec::gauge(
        "mysql.replica.sql_running_state", "state", "Applier", "By channel: 1 applies, 0 stopped").resolution(1.0);
    LAG = MetricSpec::gauge(
        "mysql.replica.lag_seconds", "seconds", "Lag",
        "Seconds behind the source without the configured delay, by channel; unknown while a thread is stopped or the \
         source is silent")
        .resolution(0.001)
        .threshold(Threshold::above(Some(30.0), Some(300.0)).checks(2));
    HEARTBEAT_LAG = MetricSpec::gauge(
        "mysql.replica.heartbeat_lag_seconds", "seconds", "Lag by heartbeat row",
        "Age of the newest row of heartbeat_table; needs synchronous clocks")
        .resolution(0.001)
        .threshold(Threshold::above(Some(30.0), Some(300.0)).checks(2));
    SOURCE_AGE = MetricSpec::gauge(
        "mysql.replica.source_silent_seconds", "seconds", "Source last heard",
        "Time since the source last sent an event or a heartbeat, by channel, as seen by this monitor").resolution(0.001);
    DELAY = MetricSpec::gauge(
        "mysql.replica.configured_delay_seconds", "seconds", "Configured delay", "SQL_Delay, by channel").resolution(1.0);
    UNAPPLIED = MetricSpec::gauge(
        "mysql.replica.unapplied_bytes", "bytes", "Received and not applied",
        "Bytes of the source's binary log that were received and not applied; only when both are in one file")
        .resolution(1.0);
    RELAY_LOG = MetricSpec::gauge(
        "mysql.replica.relay_log_bytes", "bytes", "Relay logs", "Size of the relay logs (Relay_Log_Space), by channel")
        .resolution(1.0);
    GTID_BEHIND = MetricSpec::gauge(
        "mysql.replica.gtid_unapplied_count", "count", "Transactions not applied",
        "Transactions that were received and not applied, by their global ids").resolution(1.0);
    REPLICAS = MetricSpec::gauge(
        "mysql.replication.replicas_count", "count", "Replicas", "Replicas that are connected to this server")
        .resolution(1.0);
    MEMBERS_ONLINE = MetricSpec::gauge(
        "mysql.group.members_online_count", "count", "Group members online",
        "Members of the replication group that are ONLINE (MySQL)").resolution(1.0);
    MEMBER_STATE = MetricSpec::gauge(
        "mysql.group.member_state", "state", "Group member",
        "This member: 0 ONLINE, 1 RECOVERING, 2 OFFLINE, 3 UNREACHABLE, 4 ERROR (MySQL)")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), Some(3.0)).hysteresis(0.0));
}
