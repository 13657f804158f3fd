//! The machine itself.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Measurements of the machine.
    pub(crate) ALL;

    // Reaching it.
    COLLECTION = MetricSpec::latency("server.collection_seconds", "Reading the machine",
        "Time of the availability check: reading /proc, or fetching the exporter's page and taking it apart");
    DNS = MetricSpec::latency("server.probe.dns_seconds", "DNS", "Time to resolve the exporter's name; zero for an address");
    TCP_CONNECT = MetricSpec::latency("server.probe.tcp_connect_seconds", "Connect", "Time to open the TCP connection to the exporter");
    TLS = MetricSpec::latency("server.probe.tls_seconds", "TLS", "Time of the TLS handshake with the exporter");
    HTTP = MetricSpec::latency("server.probe.http_seconds", "HTTP", "Time from the request to the end of the exporter's answer");
    CERTIFICATE = MetricSpec::gauge("server.certificate.expires_in_days", "days", "Certificate expires in",
        "Days until the earliest expiry in the chain that the exporter showed; negative after it")
        .resolution(0.001).threshold(Threshold::below(Some(21.0), Some(7.0)).hysteresis(0.0));
    CLOCK_DIFFERENCE = MetricSpec::gauge("server.clock.difference_seconds", "seconds", "Clock difference",
        "How far the exporter's clock, as its page shows it, is from ours; grows when a cache serves an old page")
        .resolution(0.001).threshold(Threshold::above(Some(60.0), None).checks(3));

    // Since when, and how busy.
    UPTIME = MetricSpec::gauge("server.uptime_seconds", "seconds", "Uptime", "Time since the machine was started").resolution(1.0);
    REBOOTED = MetricSpec::state("server.reboot_detected_state", "Recently rebooted",
        "1 in the ten minutes after a start that was seen from here: the uptime went back")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    LOAD_1 = MetricSpec::gauge("server.load.one_minute_count", "count", "Load, 1 min",
        "Threads that run, wait for a core or for a disk, averaged over a minute").resolution(0.01);
    LOAD_5 = MetricSpec::gauge("server.load.five_minutes_count", "count", "Load, 5 min", "The same, averaged over five minutes").resolution(0.01);
    LOAD_15 = MetricSpec::gauge("server.load.fifteen_minutes_count", "count", "Load, 15 min", "The same, averaged over fifteen minutes").resolution(0.01);
    LOAD_PER_CORE = MetricSpec::ratio("server.load.per_core_ratio", "Load per core",
        "The load of fifteen minutes over the cores that are online; above 1 there is more work than cores")
        .threshold(Threshold::above(Some(2.0), None).checks(3));

    // Processors: shares of the interval since the last check.
    CORES = MetricSpec::count("server.cpu.online_count", "Cores", "Cores that are online, from /proc/stat");
    CPU_USED = MetricSpec::ratio("server.cpu.used_ratio", "CPU used",
        "Share of the cores' time that went to user, nice, system and interrupts; not idle, waiting for disks or stolen")
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.05).checks(20));
    CPU_USER = MetricSpec::ratio("server.cpu.user_ratio", "CPU user", "Share spent in programs, guests included");
    CPU_NICE = MetricSpec::ratio("server.cpu.nice_ratio", "CPU nice", "Share spent in programs of low priority");
    CPU_SYSTEM = MetricSpec::ratio("server.cpu.system_ratio", "CPU system", "Share spent in the kernel");
    CPU_IOWAIT = MetricSpec::ratio("server.cpu.iowait_ratio", "CPU waiting for disks", "Share idle while a disk request was under way")
        .threshold(Threshold::above(Some(0.4), None).checks(20));
    CPU_IRQ = MetricSpec::ratio("server.cpu.irq_ratio", "CPU interrupts", "Share spent in hardware and software interrupts");
    CPU_STEAL = MetricSpec::ratio("server.cpu.steal_ratio", "CPU stolen", "Share that the hypervisor gave to others")
        .threshold(Threshold::above(Some(0.1), None).checks(20));
    CPU_GUEST = MetricSpec::ratio("server.cpu.guest_ratio", "CPU guests", "Share spent running virtual machines, a part of user");
    CPU_IDLE = MetricSpec::ratio("server.cpu.idle_ratio", "CPU idle", "Share with nothing to do and no disk to wait for");
    CORE_USED = MetricSpec::ratio("server.cpu.core.used_ratio", "Core used", "As CPU used, for each core (label core, the first 128)");
    CORE_BUSIEST = MetricSpec::ratio("server.cpu.core.busiest_ratio", "Busiest core", "CPU used of the core that was used most: shows a single busy thread");
    CONTEXT_SWITCHES = MetricSpec::total("server.cpu.context_switches_total", "Context switches", "Switches between threads since the start, from /proc/stat");
    INTERRUPTS = MetricSpec::total("server.cpu.interrupts_total", "Interrupts", "Interrupts served since the start, from /proc/stat");
    FORKS = MetricSpec::total("server.processes.forks_total", "Forks", "Processes and threads created since the start, from /proc/stat");

    // Pressure: share of the interval in which tasks stood still.
    PRESSURE_CPU = MetricSpec::ratio("server.pressure.cpu.some_ratio", "CPU pressure", "Share of time in which some task waited for a core, from /proc/pressure");
    PRESSURE_MEMORY = MetricSpec::ratio("server.pressure.memory.some_ratio", "Memory pressure", "Share of time in which some task waited for memory");
    PRESSURE_MEMORY_FULL = MetricSpec::ratio("server.pressure.memory.full_ratio", "Memory pressure, all", "Share of time in which all tasks waited for memory")
        .threshold(Threshold::above(Some(0.05), Some(0.2)).checks(10));
    PRESSURE_IO = MetricSpec::ratio("server.pressure.io.some_ratio", "Disk pressure", "Share of time in which some task waited for a disk");
    PRESSURE_IO_FULL = MetricSpec::ratio("server.pressure.io.full_ratio", "Disk pressure, all", "Share of time in which all tasks waited for a disk")
        .threshold(Threshold::above(Some(0.2), Some(0.4)).checks(10));
    PRESSURE_IRQ_FULL = MetricSpec::ratio("server.pressure.irq.full_ratio", "Interrupt pressure", "Share of time lost to interrupts, from kernel 6.1");

    // Memory.
    MEMORY_TOTAL = MetricSpec::bytes("server.memory.total_bytes", "Memory", "Usable memory, MemTotal of /proc/meminfo");
    MEMORY_AVAILABLE = MetricSpec::bytes("server.memory.available_bytes", "Memory available",
        "What new programs can get without swapping, MemAvailable; an estimate where the kernel has none");
    MEMORY_AVAILABLE_RATIO = MetricSpec::ratio("server.memory.available_ratio", "Memory available, share", "Available over total memory")
        .threshold(Threshold::below(Some(0.1), Some(0.04)).checks(6));
    MEMORY_USED = MetricSpec::bytes("server.memory.used_bytes", "Memory used", "Total less available: caches that can be dropped are not used");
    MEMORY_FREE = MetricSpec::bytes("server.memory.free_bytes", "Memory free", "Memory that holds nothing at all");
    MEMORY_CACHED = MetricSpec::bytes("server.memory.cached_bytes", "Page cache", "Files kept in memory, shared memory included");
    MEMORY_BUFFERS = MetricSpec::bytes("server.memory.buffers_bytes", "Buffers", "Blocks of devices kept in memory");
    MEMORY_SHARED = MetricSpec::bytes("server.memory.shared_bytes", "Shared memory", "Shared memory and tmpfs");
    MEMORY_SLAB = MetricSpec::bytes("server.memory.slab_bytes", "Kernel memory", "Structures of the kernel");
    MEMORY_DIRTY = MetricSpec::bytes("server.memory.dirty_bytes", "Dirty pages", "What is to be written to disks");
    MEMORY_COMMITTED = MetricSpec::bytes("server.memory.committed_bytes", "Memory promised", "What programs asked for, whether they use it or not");
    MAJOR_FAULTS = MetricSpec::total("server.memory.major_faults_total", "Major faults", "Pages that had to be read from a disk, from /proc/vmstat");
    OOM_KILLS = MetricSpec::total("server.memory.oom_kills_total", "OOM kills", "Processes killed for want of memory, from /proc/vmstat");
    OOM_RECENT = MetricSpec::count("server.memory.oom_kills_recent_count", "OOM kills, 30 min", "Processes killed for want of memory in the last 30 minutes that we watched")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    SWAP_TOTAL = MetricSpec::bytes("server.swap.total_bytes", "Swap", "Size of the swap space");
    SWAP_USED = MetricSpec::bytes("server.swap.used_bytes", "Swap used", "Swap space in use");
    SWAP_USED_RATIO = MetricSpec::ratio("server.swap.used_ratio", "Swap used, share", "Used over total swap; harmless by itself, so it has no bounds");
    SWAP_IN = MetricSpec::total("server.swap.in_pages_total", "Swapped in", "Pages read from swap since the start, from /proc/vmstat");
    SWAP_OUT = MetricSpec::total("server.swap.out_pages_total", "Swapped out", "Pages written to swap since the start, from /proc/vmstat");
    SWAP_OUT_RECENT = MetricSpec::ratio("server.swap.out_recent_ratio", "Swapped out, 30 min",
        "Memory swapped out in the last 30 minutes that we watched, over all memory; of an exporter with pages of 4 KiB assumed")
        .threshold(Threshold::above(Some(0.3), None));

    // Processes and tables of the kernel.
    PROCESSES = MetricSpec::count("server.processes.count", "Processes", "Processes, counted once a minute");
    THREADS = MetricSpec::count("server.processes.threads_count", "Threads", "Threads of all processes, from /proc/loadavg");
    THREADS_RATIO = MetricSpec::ratio("server.processes.threads_used_ratio", "Threads used", "Threads over the smaller of pid_max and threads-max")
        .threshold(Threshold::above(Some(0.8), Some(0.95)));
    RUNNING = MetricSpec::count("server.processes.running_count", "Running threads", "Threads that run or wait for a core");
    BLOCKED = MetricSpec::count("server.processes.blocked_count", "Blocked threads", "Threads that wait for a disk and cannot be interrupted");
    FILES_OPEN = MetricSpec::count("server.file_descriptors.open_count", "Open files", "Open files of all processes, from /proc/sys/fs/file-nr");
    FILES_RATIO = MetricSpec::ratio("server.file_descriptors.used_ratio", "Open files, share", "Open files over fs.file-max; left out where that is no limit at all")
        .threshold(Threshold::above(Some(0.7), Some(0.9)));
    CONNTRACK = MetricSpec::count("server.conntrack.entries_count", "Tracked connections", "Connections in the kernel's tracking table");
    CONNTRACK_RATIO = MetricSpec::ratio("server.conntrack.used_ratio", "Tracked connections, share", "Over nf_conntrack_max; a full table drops packets")
        .threshold(Threshold::above(Some(0.75), Some(0.9)));
    RAID_DEGRADED = MetricSpec::count("server.raid.degraded_count", "Degraded arrays", "Software RAID arrays that miss a member, from /proc/mdstat")
        .threshold(Threshold::above(None, Some(1.0)).hysteresis(0.0));

    // Disks, label disk.
    DISK_READ_BYTES = MetricSpec::total("server.disk.read_bytes_total", "Disk read", "Bytes read, from /proc/diskstats");
    DISK_WRITTEN_BYTES = MetricSpec::total("server.disk.written_bytes_total", "Disk written", "Bytes written");
    DISK_READS = MetricSpec::total("server.disk.reads_total", "Disk reads", "Reads completed");
    DISK_WRITES = MetricSpec::total("server.disk.writes_total", "Disk writes", "Writes completed");
    DISK_READ_AWAIT = MetricSpec::gauge("server.disk.read_await_seconds", "seconds", "Disk read latency",
        "Mean time of the reads completed in the interval, waiting included; left out when there were none")
        .resolution(1e-6).threshold(Threshold::above(Some(0.1), None).checks(10));
    DISK_WRITE_AWAIT = MetricSpec::gauge("server.disk.write_await_seconds", "seconds", "Disk write latency", "The same of writes")
        .resolution(1e-6).threshold(Threshold::above(Some(0.1), None).checks(10));
    DISK_BUSY = MetricSpec::ratio("server.disk.busy_ratio", "Disk busy",
        "Share of the interval with a request under way; no sign of saturation for NVMe and RAID, which work on many at once");
    DISK_QUEUE = MetricSpec::gauge("server.disk.queue_depth_count", "count", "Disk queue", "Requests under way or waiting, averaged over the interval")
        .resolution(0.001).threshold(Threshold::above(Some(10.0), None).checks(20));

    // Network, label interface.
    NET_RX_BYTES = MetricSpec::total("server.network.received_bytes_total", "Received", "Bytes received, from /proc/net/dev");
    NET_TX_BYTES = MetricSpec::total("server.network.sent_bytes_total", "Sent", "Bytes sent");
    NET_RX_PACKETS = MetricSpec::total("server.network.received_packets_total", "Packets received", "Packets received");
    NET_TX_PACKETS = MetricSpec::total("server.network.sent_packets_total", "Packets sent", "Packets sent");
    NET_RX_ERRORS = MetricSpec::total("server.network.receive_errors_total", "Receive errors", "Packets received damaged");
    NET_TX_ERRORS = MetricSpec::total("server.network.send_errors_total", "Send errors", "Packets that could not be sent");
    NET_RX_DROPS = MetricSpec::total("server.network.receive_drops_total", "Receive drops", "Packets received and dropped");
    NET_TX_DROPS = MetricSpec::total("server.network.send_drops_total", "Send drops", "Packets dropped instead of sent");
    NET_ERRORS = MetricSpec::ratio("server.network.error_ratio", "Packet errors", "Errors over packets of the interval, both ways, above 100 packets")
        .threshold(Threshold::above(Some(0.01), None).checks(10));
    NET_USED = MetricSpec::ratio("server.network.used_ratio", "Link used", "Bytes of the busier direction over the speed of the link, where that is known")
        .threshold(Threshold::above(Some(0.95), None).checks(10));
    NET_UP = MetricSpec::state("server.network.up_state", "Link up", "1 when the interface is up, 0 when it is not, from /sys/class/net");
    NET_SPEED = MetricSpec::bytes("server.network.speed_per_second_bytes", "Link speed", "Bytes a second that the link can carry, where the driver tells");
    TCP_ESTABLISHED = MetricSpec::count("server.tcp.established_count", "TCP connections", "Connections that are open, from /proc/net/snmp");
    TCP_RETRANSMITS = MetricSpec::total("server.tcp.retransmits_total", "TCP retransmits", "Segments sent again, from /proc/net/snmp");
    TCP_SENT = MetricSpec::total("server.tcp.sent_segments_total", "TCP segments", "Segments sent");
    TCP_RETRANSMIT_RATIO = MetricSpec::ratio("server.tcp.retransmit_ratio", "TCP retransmits, share", "Segments sent again over all sent in the interval, above 100 segments")
        .threshold(Threshold::above(Some(0.1), None).checks(10));
    LISTEN_OVERFLOWS = MetricSpec::total("server.tcp.listen_overflows_total", "Listen overflows", "Connections refused because a program did not take them up in time");
    LISTEN_DROPS = MetricSpec::total("server.tcp.listen_drops_total", "Listen drops", "Connection attempts dropped at a listening socket, for whatever reason");

    // Sensors and clock.
    TEMPERATURE = MetricSpec::gauge("server.temperature.sensor_celsius", "celsius", "Temperature", "Temperature of each sensor (labels chip and sensor), once a minute").resolution(0.1);
    TEMPERATURE_RATIO = MetricSpec::ratio("server.temperature.of_critical_ratio", "Temperature of the critical one", "Temperature over the one that the sensor calls critical, where it does")
        .threshold(Threshold::above(Some(0.95), Some(1.0)).hysteresis(0.03).checks(10));
    CLOCK_OFFSET = MetricSpec::gauge("server.clock.offset_seconds", "seconds", "Clock offset",
        "What the kernel still has to correct, without sign; only while it is synchronised, and next to nothing under chrony, which corrects by itself")
        .resolution(1e-6).threshold(Threshold::above(Some(0.05), Some(1.0)).checks(10));
    CLOCK_SYNCHRONISED = MetricSpec::state("server.clock.synchronised_state", "Clock synchronised", "1 when a time service disciplines the clock, 0 when none does");
    CLOCK_MAX_ERROR = MetricSpec::gauge("server.clock.max_error_seconds", "seconds", "Clock error at most", "The kernel's bound on the clock's error; 16 when no time service runs").resolution(1e-6);
}
