//! Who follows whom: replication, cluster and Sentinel.

use wise_core::{MetricSpec, Threshold};

use super::seconds;

wise_core::metrics! {
    /// Measurements of the replication probe.
    pub(crate) ALL;
    ROLE = MetricSpec::state("redis.role_state", "Role", "0 primary, 1 replica, 2 Sentinel");
    ROLE_CHANGED = MetricSpec::state("redis.role_changed_state", "Role changed",
        "1 at the check that finds another role, or another primary to follow, than the one before: a failover")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));

    // As a primary.
    REPLICAS = MetricSpec::count("redis.replicas.connected_count", "Replicas connected", "Replicas with a connection, those that still synchronise included, connected_slaves");
    REPLICAS_ONLINE = MetricSpec::count("redis.replicas.online_count", "Replicas online", "Replicas in the state online");
    REPLICAS_GOOD = MetricSpec::count("redis.replicas.good_count", "Good replicas", "Replicas that min-replicas-max-lag counts as good; only where min-replicas-to-write is set");
    REPLICAS_LOST = MetricSpec::count("redis.replicas.lost_count", "Replicas lost", "Replicas that were online in the last hour and are not now")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    REPLICA_LAG = MetricSpec::bytes("redis.replica.lag_bytes", "Lag of a replica",
        "What the primary has written beyond the replica's acknowledged offset (label replica), seen from the primary")
        .threshold(Threshold::above(Some(67_108_864.0), None).checks(3));
    REPLICA_ACK_AGE = seconds("redis.replica.ack_age_seconds", "Last word of a replica",
        "Time since the replica's last acknowledgement (label replica); only while it is online, because the server says 0 otherwise")
        .threshold(Threshold::above(Some(10.0), None));
    REPLICA_ONLINE = MetricSpec::state("redis.replica.online_state", "Replica online", "1 when the replica (label replica) is in the state online");
    OFFSET = MetricSpec::total("redis.replication.offset_total", "Offset", "Bytes of the replication stream so far, master_repl_offset");
    BACKLOG = MetricSpec::bytes("redis.replication.backlog_bytes", "Backlog", "What the backlog holds for replicas that come back, repl_backlog_histlen");
    BACKLOG_SECONDS = seconds("redis.replication.backlog_window_seconds", "Backlog window",
        "How long a replica may be away and still catch up from the backlog, from its size and the writes since the last check");
    FULL_SYNCS = MetricSpec::total("redis.replication.full_syncs_total", "Full synchronisations", "Times that a replica had to take everything, sync_full");
    PARTIAL_SYNCS = MetricSpec::total("redis.replication.partial_syncs_total", "Partial synchronisations", "Times that a replica caught up from the backlog, sync_partial_ok");
    PARTIAL_ERRORS = MetricSpec::total("redis.replication.partial_errors_total", "Partial synchronisations refused", "Times that the backlog did not reach back far enough, sync_partial_err");

    // As a replica.
    LINK_UP = MetricSpec::state("redis.replica.link_up_state", "Link to the primary", "1 when the replica has its link to the primary, master_link_status")
        .threshold(Threshold::below(None, Some(0.0)));
    LINK_DOWN = seconds("redis.replica.link_down_seconds", "Link down for", "How long the link is down; not there while it is up, nor when it never was up")
        .threshold(Threshold::above(Some(30.0), None));
    LAST_IO = seconds("redis.replica.last_io_age_seconds", "Last word of the primary",
        "Time since the primary last said anything, master_last_io_seconds_ago: grows while the link still counts as up when the primary is frozen")
        .threshold(Threshold::above(Some(30.0), None));
    SYNCING = MetricSpec::state("redis.replica.sync_in_progress_state", "Full synchronisation", "1 while the replica takes everything from the primary");
    SYNC_LEFT = MetricSpec::bytes("redis.replica.sync_left_bytes", "Left to synchronise", "What is still to come of a full synchronisation, master_sync_left_bytes");
    READ_ONLY = MetricSpec::state("redis.replica.read_only_state", "Replica only reads", "1 when the replica refuses writes, slave_read_only");

    // As a member of a cluster.
    CLUSTER_OK = MetricSpec::state("redis.cluster.ok_state", "Cluster serves", "1 when cluster_state is ok, in the opinion of this node")
        .threshold(Threshold::below(None, Some(0.0)));
    CLUSTER_ASSIGNED = MetricSpec::count("redis.cluster.slots_assigned_count", "Slots assigned", "Slots that some node serves, of 16384");
    CLUSTER_SLOTS_OK = MetricSpec::count("redis.cluster.slots_ok_count", "Slots served", "Slots whose node is neither failed nor suspected");
    CLUSTER_PFAIL = MetricSpec::count("redis.cluster.slots_suspected_count", "Slots suspected", "Slots whose node this node cannot reach, cluster_slots_pfail")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    CLUSTER_FAIL = MetricSpec::count("redis.cluster.slots_failed_count", "Slots failed", "Slots whose node the majority counts as failed, cluster_slots_fail")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    CLUSTER_NODES = MetricSpec::count("redis.cluster.nodes_count", "Nodes", "Nodes that this node knows, failed ones included");
    CLUSTER_SIZE = MetricSpec::count("redis.cluster.size_count", "Primaries with slots", "Primaries that serve at least one slot");
    CLUSTER_EPOCH = MetricSpec::total("redis.cluster.epoch_total", "Epoch", "cluster_current_epoch: grows with each election");
    CLUSTER_NODES_FAILED = MetricSpec::count("redis.cluster.nodes_failed_count", "Nodes failed", "Nodes with the flag fail or noaddr, from CLUSTER NODES")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    CLUSTER_NODES_SUSPECTED = MetricSpec::count("redis.cluster.nodes_suspected_count", "Nodes suspected", "Nodes with the flag fail?, from CLUSTER NODES")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0).checks(2));
    CLUSTER_LINKS_DOWN = MetricSpec::count("redis.cluster.links_down_count", "Links down", "Other nodes to which this node has no connection, from CLUSTER NODES")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0).checks(2));

    // As a Sentinel; the label master is the name it is watched under.
    SENTINEL_OK = MetricSpec::state("redis.sentinel.master_ok_state", "Primary alive", "1 when the Sentinel holds the primary for alive, 0 when it is subjectively or objectively down")
        .threshold(Threshold::below(None, Some(0.0)));
    SENTINEL_QUORUM = MetricSpec::state("redis.sentinel.quorum_ok_state", "Quorum", "1 when enough Sentinels can be reached for a failover, from SENTINEL CKQUORUM")
        .threshold(Threshold::below(Some(0.0), None));
    SENTINEL_SENTINELS = MetricSpec::count("redis.sentinel.sentinels_count", "Sentinels", "Sentinels that watch the primary, this one included");
    SENTINEL_REPLICAS = MetricSpec::count("redis.sentinel.replicas_count", "Replicas known", "Replicas that the Sentinel knows, unreachable ones included");
    SENTINEL_EPOCH = MetricSpec::total("redis.sentinel.config_epoch_total", "Configuration epoch", "config-epoch of SENTINEL MASTERS: grows with each failover");
    SENTINEL_TILT = MetricSpec::state("redis.sentinel.tilt_state", "Tilt", "1 while the Sentinel does not trust its clock and only watches, sentinel_tilt")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
}
