//! What the replication probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    WAL_GENERATED = MetricSpec::counter(
        "postgresql.wal.generated_bytes_total", "total", "WAL generated",
        "Bytes of write-ahead log since the cluster was made (pg_current_wal_lsn(), received on a standby)")
        .resolution(1.0);
    STANDBYS = MetricSpec::gauge(
        "postgresql.replication.standbys_count", "count", "Standbys",
        "Standbys that stream from this server, without pg_basebackup and pg_receivewal").resolution(1.0);
    STANDBY_STATE = MetricSpec::gauge(
        "postgresql.replication.standby_state", "state", "Standby state",
        "By standby: 0 streaming, 1 catching up, 2 another state").resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0).checks(10));
    REPLAY_LAG_BYTES = MetricSpec::gauge(
        "postgresql.replication.replay_lag_bytes", "bytes", "Bytes behind",
        "WAL that the standby has not replayed yet, by standby, as the primary sees it")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1e9), None).checks(3));
    REPLAY_LAG = MetricSpec::gauge(
        "postgresql.replication.replay_lag_seconds", "seconds", "Replay lag",
        "Time until the standby has replayed a commit, by standby; zero when it has replayed everything")
        .resolution(0.001)
        .threshold(Threshold::above(Some(30.0), Some(300.0)).checks(2));
    FLUSH_LAG = MetricSpec::gauge(
        "postgresql.replication.flush_lag_seconds", "seconds", "Flush lag",
        "Time until the standby has a commit on its disk, by standby; zero when it has everything")
        .resolution(0.001);
    LAG = MetricSpec::gauge(
        "postgresql.replication.lag_seconds", "seconds", "Lag of this standby",
        "Age of the last replayed transaction while there is more to replay; zero when all is replayed and the \
         receiver streams; unknown when it does not")
        .resolution(0.001)
        .threshold(Threshold::above(Some(30.0), Some(300.0)).checks(2));
    LAG_BYTES = MetricSpec::gauge(
        "postgresql.replication.unreplayed_bytes", "bytes", "Received and not replayed",
        "WAL that this standby has received and not replayed").resolution(1.0);
    RECEIVER = MetricSpec::gauge(
        "postgresql.walreceiver.streaming_state", "state", "Receiver streams",
        "1 when this standby streams from its primary").resolution(1.0);
    RECEIVER_AGE = MetricSpec::gauge(
        "postgresql.walreceiver.last_message_age_seconds", "seconds", "Last message of the primary",
        "Time since this standby last heard from its primary; it grows while the primary hangs")
        .resolution(0.001);
    REPLAY_PAUSED = MetricSpec::gauge(
        "postgresql.replay.paused_state", "state", "Replay paused", "1 when someone has paused replay on this standby")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    SLOT_RETAINED = MetricSpec::gauge(
        "postgresql.slot.retained_bytes", "bytes", "WAL kept for a slot",
        "WAL that a replication slot keeps from being removed; absent for a slot that has lost it")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1e10), None).checks(2));
    SLOT_ACTIVE = MetricSpec::gauge(
        "postgresql.slot.active_state", "state", "Slot in use", "1 when someone uses the replication slot")
        .resolution(1.0);
    SLOT_INACTIVE = MetricSpec::gauge(
        "postgresql.slot.inactive_seconds", "seconds", "Slot not in use",
        "Time since the slot was last used: since the monitor first saw it unused, from PostgreSQL 17 since it was")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1800.0), None));
    SLOT_WAL_STATUS = MetricSpec::gauge(
        "postgresql.slot.wal_status_state", "state", "Slot's WAL",
        "0 reserved, 1 extended, 2 unreserved (about to be lost), 3 lost; from PostgreSQL 13")
        .resolution(1.0)
        .threshold(Threshold::above(Some(2.0), Some(3.0)).hysteresis(0.0));
    SLOT_SAFE = MetricSpec::gauge(
        "postgresql.slot.safe_wal_bytes", "bytes", "WAL until the slot is lost",
        "WAL that may still be written before the slot is in danger; only with max_slot_wal_keep_size").resolution(1.0);
    SUBSCRIPTION_STATE = MetricSpec::gauge(
        "postgresql.subscription.working_state", "state", "Subscription works",
        "1 when the subscription is enabled and its worker runs").resolution(1.0);
    SUBSCRIPTION_AGE = MetricSpec::gauge(
        "postgresql.subscription.last_message_age_seconds", "seconds", "Last message of the publisher",
        "Time since the subscription last heard from its publisher").resolution(0.001);
    SUBSCRIPTION_ERRORS = MetricSpec::counter(
        "postgresql.subscription.apply_errors_total", "total", "Apply errors",
        "Errors while changes were applied, by subscription; from PostgreSQL 15").resolution(1.0);
}
