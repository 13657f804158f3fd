//! What the replication probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    OWN_STATE = MetricSpec::gauge(
        "mongodb.replication.own_state", "state", "State of this member",
        "State of this member as MongoDB numbers it: 1 primary, 2 secondary, 3 recovering, 5 initial sync, 9 rollback")
        .resolution(1.0);
    MEMBER_STATE = MetricSpec::gauge(
        "mongodb.member.state", "state", "State of the members",
        "State of each member as this one sees it, as MongoDB numbers it: 0 to 10").resolution(1.0);
    MEMBER_PROBLEM = MetricSpec::gauge(
        "mongodb.member.problem_state", "state", "Trouble of the members",
        "By member: 0 works (primary, secondary, arbiter), 1 on its way (starting, initial sync, recovering), 2 does not work")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0).checks(4));
    MEMBER_HEALTH = MetricSpec::gauge(
        "mongodb.member.health_state", "state", "Members answer", "1 for each member that answers this one").resolution(1.0);
    MEMBER_LAG = MetricSpec::gauge(
        "mongodb.member.lag_seconds", "seconds", "Lag of the members",
        "How far each secondary is behind the primary, as the primary sees it, without a configured delay; unknown without a \
         primary, and for members that are down or roll back").resolution(0.001)
        .threshold(Threshold::above(Some(60.0), Some(600.0)).checks(2));
    LAG = MetricSpec::gauge(
        "mongodb.replication.lag_seconds", "seconds", "Lag of this member",
        "How far this secondary is behind the primary, without a configured delay; unknown without a primary").resolution(0.001)
        .threshold(Threshold::above(Some(60.0), Some(600.0)).checks(2));
    MEMBER_HEARTBEAT = MetricSpec::gauge(
        "mongodb.member.heartbeat_age_seconds", "seconds", "Last heartbeat",
        "Time since each member last sent this one a heartbeat (lastHeartbeatRecv)").resolution(0.001);
    MEMBER_PING = MetricSpec::gauge(
        "mongodb.member.ping_seconds", "seconds", "Round trip", "Round trip of a heartbeat to each member (pingMs)")
        .resolution(0.001);
    MEMBERS = MetricSpec::gauge(
        "mongodb.replset.members_count", "count", "Members", "Members that the replica set has").resolution(1.0);
    WORKING = MetricSpec::gauge(
        "mongodb.replset.working_members_count", "count", "Members that work",
        "Members that answer and are primary, secondary or arbiter").resolution(1.0);
    HAS_PRIMARY = MetricSpec::gauge(
        "mongodb.replset.has_primary_state", "state", "Primary there",
        "1 when this member knows a primary; elections take about 12 seconds").resolution(1.0)
        .threshold(Threshold::below(None, Some(0.0)).hysteresis(0.0).checks(3));
    VOTING_UP = MetricSpec::gauge(
        "mongodb.replset.voting_up_count", "count", "Voting members up", "Voting members that answer").resolution(1.0);
    MAJORITY = MetricSpec::gauge(
        "mongodb.replset.majority_count", "count", "Majority", "Votes that make a majority (majorityVoteCount)").resolution(1.0);
    ELECTIONS = MetricSpec::counter(
        "mongodb.replset.elections_total", "total", "Elections", "Number of the term; each election raises it").resolution(1.0);
    ELECTIONS_RECENT = MetricSpec::gauge(
        "mongodb.replset.recent_elections_count", "count", "Elections since the last check",
        "How far the term went up since the check before").resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    MAJORITY_LAG = MetricSpec::gauge(
        "mongodb.replset.majority_lag_seconds", "seconds", "Lag of the majority",
        "How far what a majority has is behind what the primary has applied; it grows when too few members with data work")
        .resolution(0.001)
        .threshold(Threshold::above(Some(30.0), None).checks(2));
    SYNC_PROGRESS = MetricSpec::gauge(
        "mongodb.initial_sync.progress_ratio", "ratio", "Initial sync", "Share of the data that the initial sync has copied")
        .resolution(0.0001);
    SYNC_REMAINING = MetricSpec::gauge(
        "mongodb.initial_sync.remaining_seconds", "seconds", "Initial sync, time left",
        "The server's own estimate of the time left (remainingInitialSyncEstimatedMillis)").resolution(1.0);
    SYNC_FAILED = MetricSpec::gauge(
        "mongodb.initial_sync.failed_count", "count", "Initial sync, failed tries", "Tries of the initial sync that failed")
        .resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    OPLOG_WINDOW = MetricSpec::gauge(
        "mongodb.oplog.window_seconds", "seconds", "Oplog window",
        "Time between the first and the last entry of the oplog: a member that is away for longer must be copied again; an \
         estimate while the oplog is not full").resolution(1.0)
        .threshold(Threshold::below(Some(86_400.0), None).hysteresis(0.05));
    OPLOG_SIZE = MetricSpec::gauge(
        "mongodb.oplog.size_bytes", "bytes", "Oplog", "Size of what is in the oplog").resolution(1.0);
    OPLOG_MAX = MetricSpec::gauge(
        "mongodb.oplog.max_bytes", "bytes", "Oplog limit", "Size that the oplog may have").resolution(1.0);
    WINDOW_USED = MetricSpec::gauge(
        "mongodb.replication.oplog_window_used_ratio", "ratio", "Oplog window used",
        "Largest lag ÷ oplog window: at 1 a member falls off the oplog and must be copied again").resolution(0.0001)
        .threshold(Threshold::above(Some(0.5), Some(0.9)));
    SHARDS = MetricSpec::gauge(
        "mongodb.shards.known_count", "count", "Shards", "Shards that this mongos knows (listShards)").resolution(1.0);
    SHARDS_DRAINING = MetricSpec::gauge(
        "mongodb.shards.draining_count", "count", "Shards that are emptied", "Shards that are being removed").resolution(1.0);
    BALANCER = MetricSpec::gauge(
        "mongodb.balancer.enabled_state", "state", "Balancer", "1 when the balancer may run (balancerStatus.mode is full)")
        .resolution(1.0);
    BALANCER_ROUND = MetricSpec::gauge(
        "mongodb.balancer.round_state", "state", "Balancing now", "1 while the balancer moves data").resolution(1.0);
}
