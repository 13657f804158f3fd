//! What the activity probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    CONNECTIONS_USED = MetricSpec::gauge(
        "mongodb.connections.used_count", "count", "Connections",
        "Open connections, those of other members included (serverStatus.connections.current)").resolution(1.0);
    CONNECTIONS_USABLE = MetricSpec::gauge(
        "mongodb.connections.usable_count", "count", "Usable connections",
        "Connections that the server takes at most (current + available)").resolution(1.0);
    CONNECTIONS_RATIO = MetricSpec::gauge(
        "mongodb.connections.used_ratio", "ratio", "Connections used",
        "Share of the usable connections that is taken; unknown where a server does not tell how many are left")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.8), Some(0.95)).checks(2));
    CONNECTIONS_ACTIVE = MetricSpec::gauge(
        "mongodb.connections.active_count", "count", "Active connections", "Connections with an operation under way")
        .resolution(1.0);
    CONNECTIONS_CREATED = MetricSpec::counter(
        "mongodb.connections.created_total", "total", "Connections made", "Connections made since the start").resolution(1.0);
    CONNECTIONS_REJECTED = MetricSpec::counter(
        "mongodb.connections.rejected_total", "total", "Connections rejected",
        "Connections rejected for want of room, from MongoDB 6.3").resolution(1.0);
    OPERATIONS = MetricSpec::counter(
        "mongodb.operations_total", "total", "Operations",
        "Operations by type: insert, query, update, delete, getmore, command (opcounters)").resolution(1.0);
    REPLICATED = MetricSpec::counter(
        "mongodb.operations.replicated_total", "total", "Replicated operations",
        "Operations applied from the primary by type (opcountersRepl)").resolution(1.0);
    LATENCY = MetricSpec::gauge(
        "mongodb.operations.latency_seconds", "seconds", "Time of an operation",
        "Mean time of an operation since the last check, by type: reads, writes, commands (opLatencies)")
        .resolution(1e-6);
    LONGEST = MetricSpec::gauge(
        "mongodb.operations.longest_seconds", "seconds", "Longest operation",
        "Age of the longest operation of a client ($currentOp); without tailing cursors, change streams, waiting hellos \
         and index builds").resolution(0.001)
        .threshold(Threshold::above(Some(300.0), None));
    RUNNING = MetricSpec::gauge(
        "mongodb.operations.running_count", "count", "Running operations", "Operations of clients that run now ($currentOp)")
        .resolution(1.0);
    LOCK_WAITING = MetricSpec::gauge(
        "mongodb.operations.waiting_for_lock_count", "count", "Operations that wait for a lock",
        "Operations of clients that wait for a lock now ($currentOp)").resolution(1.0)
        .threshold(Threshold::above(Some(10.0), None).checks(2));
    INDEX_BUILDS = MetricSpec::gauge(
        "mongodb.index_builds.running_count", "count", "Index builds", "Indexes that are built now ($currentOp)")
        .resolution(1.0);
    INDEX_BUILD_LONGEST = MetricSpec::gauge(
        "mongodb.index_builds.longest_seconds", "seconds", "Longest index build",
        "Age of the longest index build; absent without one").resolution(0.001);
    QUEUE = MetricSpec::gauge(
        "mongodb.queue.waiting_count", "count", "Waiting in the queue",
        "Operations that wait for the global lock, by type (globalLock.currentQueue)").resolution(1.0)
        .threshold(Threshold::above(Some(100.0), None).checks(3));
    CLIENTS = MetricSpec::gauge(
        "mongodb.clients.active_count", "count", "Active clients",
        "Clients with an operation under way, by type (globalLock.activeClients)").resolution(1.0);
    TICKETS_OUT = MetricSpec::gauge(
        "mongodb.tickets.out_count", "count", "Tickets out",
        "Operations within the storage engine, by type (wiredTiger.concurrentTransactions, from 8.0 queues.execution)")
        .resolution(1.0);
    TICKETS_AVAILABLE = MetricSpec::gauge(
        "mongodb.tickets.available_count", "count", "Tickets left",
        "Operations that the storage engine still admits, by type; from 7.0 the server changes how many it admits, so that \
         few left are no overload").resolution(1.0);
    CACHE_USED = MetricSpec::gauge(
        "mongodb.cache.used_ratio", "ratio", "Cache used",
        "Share of WiredTiger's cache in use; it evicts from 80 % on, and makes clients do so at 95 %").resolution(0.0001)
        .threshold(Threshold::above(Some(0.95), None).hysteresis(0.02).checks(3));
    CACHE_DIRTY = MetricSpec::gauge(
        "mongodb.cache.dirty_ratio", "ratio", "Cache dirty",
        "Share of WiredTiger's cache that is not written yet; it evicts from 5 % on, and makes clients do so at 20 %")
        .resolution(0.0001)
        .threshold(Threshold::above(Some(0.2), None).checks(3));
    CACHE_BYTES = MetricSpec::gauge(
        "mongodb.cache.used_bytes", "bytes", "Cache", "Bytes in WiredTiger's cache").resolution(1.0);
    CACHE_HITS = MetricSpec::gauge(
        "mongodb.cache.hit_ratio", "ratio", "Cache hits",
        "Share of pages found in WiredTiger's cache since the last check, where there were 1,000 or more").resolution(0.0001);
    APP_EVICTIONS = MetricSpec::counter(
        "mongodb.cache.app_evictions_total", "total", "Evictions by clients",
        "Pages that threads of clients had to evict before they could go on").resolution(1.0);
    ASSERTS = MetricSpec::counter(
        "mongodb.asserts_total", "total", "Asserts", "Asserts by type: regular, warning, msg, user").resolution(1.0);
    CURSORS = MetricSpec::gauge(
        "mongodb.cursors.open_count", "count", "Open cursors", "Cursors that are open (metrics.cursor.open.total)")
        .resolution(1.0)
        .threshold(Threshold::above(Some(10_000.0), None).checks(2));
    CURSORS_TIMED_OUT = MetricSpec::counter(
        "mongodb.cursors.timed_out_total", "total", "Cursors timed out", "Cursors that clients have left open until they expired")
        .resolution(1.0);
    WRITE_CONFLICTS = MetricSpec::counter(
        "mongodb.write_conflicts_total", "total", "Write conflicts",
        "Writes that had to be tried again because another came first (metrics.operation.writeConflicts)").resolution(1.0);
    SORTS = MetricSpec::counter(
        "mongodb.queries.in_memory_sorts_total", "total", "Sorts without an index",
        "Queries whose order no index gave (metrics.operation.scanAndOrder)").resolution(1.0);
    SCANS = MetricSpec::counter(
        "mongodb.queries.collection_scans_total", "total", "Collection scans",
        "Queries that read a whole collection (metrics.queryExecutor.collectionScans.total)").resolution(1.0);
    SCANNED = MetricSpec::counter(
        "mongodb.queries.scanned_total", "total", "Scanned", "What queries looked at, by type: index keys and documents")
        .resolution(1.0);
    DOCUMENTS = MetricSpec::counter(
        "mongodb.documents_total", "total", "Documents",
        "Documents by what happened to them: returned, inserted, updated, deleted").resolution(1.0);
    DEADLOCKS = MetricSpec::counter(
        "mongodb.locks.deadlocks_total", "total", "Deadlocks", "Deadlocks of all locks (locks.*.deadlockCount)").resolution(1.0);
    DEADLOCKS_RECENT = MetricSpec::gauge(
        "mongodb.locks.recent_deadlocks_count", "count", "Deadlocks since the last check",
        "Deadlocks since the check before").resolution(1.0)
        .threshold(Threshold::above(Some(5.0), None).hysteresis(0.0));
    FLOW_CONTROL = MetricSpec::gauge(
        "mongodb.flow_control.lagged_state", "state", "Flow control slows writes",
        "1 while the primary slows writes because the majority lags (flowControl.isLagged)").resolution(1.0)
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0).checks(2));
    WRITE_TIMEOUTS = MetricSpec::counter(
        "mongodb.write_concern.timeouts_total", "total", "Write concern not met",
        "Writes whose write concern was not met in time (metrics.getLastError.wtimeouts)").resolution(1.0);
    TRANSACTIONS = MetricSpec::gauge(
        "mongodb.transactions.open_count", "count", "Open transactions", "Transactions that are open (transactions.currentOpen)")
        .resolution(1.0);
    PAGE_FAULTS = MetricSpec::counter(
        "mongodb.page_faults_total", "total", "Page faults", "Page faults of the process (extra_info.page_faults)")
        .resolution(1.0);
    MEMORY = MetricSpec::gauge(
        "mongodb.memory.resident_bytes", "bytes", "Memory", "Resident memory of the process (mem.resident)").resolution(1.0);
    NETWORK_IN = MetricSpec::counter(
        "mongodb.network.in_bytes_total", "total", "Received", "Bytes received (network.bytesIn)").resolution(1.0);
    NETWORK_OUT = MetricSpec::counter(
        "mongodb.network.out_bytes_total", "total", "Sent", "Bytes sent (network.bytesOut)").resolution(1.0);
    REQUESTS = MetricSpec::counter(
        "mongodb.network.requests_total", "total", "Requests", "Requests received (network.numRequests)").resolution(1.0);
}
