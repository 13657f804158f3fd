//! What a machine says of itself, whichever way it was asked: readings are made from this alone, so that the local
//! machine and a node_exporter give the same ones.

use std::path::PathBuf;

use tokio::time::Instant;

/// Most cores, disks, interfaces, mounts and sensors that are kept of one machine.
pub(crate) const MAX_PARTS: usize = 256;

/// A look at a machine. A part that is empty or `None` was not there to be read.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// When it was taken; intervals are measured with this and not with the wall clock.
    pub taken: Instant,
    pub basics: Basics,
    pub cores: Vec<Core>,
    pub memory: Memory,
    pub counters: Counters,
    pub pressure: Pressures,
    pub disks: Vec<Disk>,
    pub interfaces: Vec<Interface>,
    pub limits: Limits,
    pub temperatures: Vec<Temperature>,
    pub clock: Option<Clock>,
    /// Arrays of /proc/mdstat that miss a member; `None` without arrays.
    pub degraded_arrays: Option<f64>,
}

impl Machine {
    pub(crate) fn new(taken: Instant) -> Self {
        Self {
            taken,
            basics: Basics::default(),
            cores: Vec::new(),
            memory: Memory::default(),
            counters: Counters::default(),
            pressure: Pressures::default(),
            disks: Vec::new(),
            interfaces: Vec::new(),
            limits: Limits::default(),
            temperatures: Vec::new(),
            clock: None,
            degraded_arrays: None,
        }
    }
}

/// What stands in a few small files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Basics {
    pub uptime: Option<f64>,
    /// Seconds since 1970.
    pub boot_time: Option<f64>,
    /// Over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    pub cores: Option<usize>,
    /// The machine's own clock, seconds since 1970; only from an exporter.
    pub time: Option<f64>,
    /// Threads of all processes.
    pub threads: Option<f64>,
    pub processes: Option<f64>,
    pub running: Option<f64>,
    pub blocked: Option<f64>,
    pub facts: Vec<(&'static str, String)>,
}

/// Seconds that a core spent in each mode. Guests are inside user, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Core {
    pub id: u32,
    pub modes: [f64; MODES],
}

pub(crate) const MODES: usize = 10;
pub(crate) const USER: usize = 0;
pub(crate) const NICE: usize = 1;
pub(crate) const SYSTEM: usize = 2;
pub(crate) const IDLE: usize = 3;
pub(crate) const IOWAIT: usize = 4;
pub(crate) const IRQ: usize = 5;
pub(crate) const SOFTIRQ: usize = 6;
pub(crate) const STEAL: usize = 7;
pub(crate) const GUEST: usize = 8;
pub(crate) const GUEST_NICE: usize = 9;

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub total: Option<f64>,
    pub available: Option<f64>,
    pub free: Option<f64>,
    pub buffers: Option<f64>,
    pub cached: Option<f64>,
    pub shared: Option<f64>,
    pub slab: Option<f64>,
    pub dirty: Option<f64>,
    pub committed: Option<f64>,
    pub swap_total: Option<f64>,
    pub swap_free: Option<f64>,
}

/// Totals that only grow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub context_switches: Option<f64>,
    pub interrupts: Option<f64>,
    pub forks: Option<f64>,
    pub swapped_in_pages: Option<f64>,
    pub swapped_out_pages: Option<f64>,
    pub major_faults: Option<f64>,
    pub oom_kills: Option<f64>,
    pub tcp_retransmits: Option<f64>,
    pub tcp_sent: Option<f64>,
    pub listen_overflows: Option<f64>,
    pub listen_drops: Option<f64>,
}

/// Seconds in which some or all tasks stood still.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stall {
    pub some: Option<f64>,
    pub full: Option<f64>,
}

/// Stalls for want of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pressures {
    pub cpu: Stall,
    pub memory: Stall,
    pub io: Stall,
    pub irq: Stall,
}

/// Totals of a disk, times in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disk {
    pub name: String,
    pub reads: f64,
    pub read_bytes: f64,
    pub read_time: f64,
    pub writes: f64,
    pub written_bytes: f64,
    pub write_time: f64,
    pub busy_time: f64,
    /// Busy time weighted with how many requests were waiting.
    pub weighted_time: f64,
}

/// Totals of a network interface.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Interface {
    pub name: String,
    pub received: Traffic,
    pub sent: Traffic,
    pub up: Option<bool>,
    /// Bytes a second.
    pub speed: Option<f64>,
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    pub bytes: f64,
    pub packets: f64,
    pub errors: f64,
    pub drops: f64,
}

/// Tables of the kernel that can run full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub open_files: Option<f64>,
    pub max_files: Option<f64>,
    pub conntrack: Option<f64>,
    pub max_conntrack: Option<f64>,
    pub max_threads: Option<f64>,
    pub tcp_established: Option<f64>,
}

/// A sensor, in degrees Celsius.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Temperature {
    /// The device that it is in, by its place in the machine.
    pub chip: String,
    /// Which of the chip's sensors it is.
    pub sensor: String,
    pub value: f64,
    pub critical: Option<f64>,
}

/// What the kernel knows of its clock's error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Clock {
    pub synchronised: Option<bool>,
    pub offset: Option<f64>,
    pub max_error: Option<f64>,
}

/// A mounted filesystem.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mount {
    /// Where it is mounted, as the watched machine names it.
    pub point: String,
    /// The same as bytes, which need not be text; empty of an exporter's.
    pub path: PathBuf,
    pub device: String,
    pub kind: String,
    pub read_only: bool,
    /// Major and minor number, which tell bind mounts from the mount they show.
    pub number: String,
}

/// Sizes of a filesystem.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Space {
    pub size: f64,
    pub free: f64,
    /// What is free for others than root.
    pub available: f64,
    pub inodes: f64,
    pub free_inodes: f64,
}

/// What asking for the sizes came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Space(Space),
    /// No answer in time: a network filesystem whose server is gone, or a device that hangs.
    Stale,
    /// The kernel refuses; the text says why.
    Refused(String),
}
