//! Filesystems, label mount.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Measurements of filesystems.
    pub(crate) ALL;

    SIZE = MetricSpec::bytes("server.filesystem.size_bytes", "Filesystem size", "Size of the filesystem, from statvfs");
    USED = MetricSpec::bytes("server.filesystem.used_bytes", "Filesystem used", "Size less what is free, root's reserve counted as free");
    AVAILABLE = MetricSpec::bytes("server.filesystem.available_bytes", "Filesystem available", "What is free for others than root");
    USED_RATIO = MetricSpec::ratio("server.filesystem.used_ratio", "Filesystem used, share",
        "Used over used and available, as df shows it; left out for one that was never writable")
        .threshold(Threshold::above(Some(0.9), Some(0.98)).hysteresis(0.02).checks(2));
    INODES = MetricSpec::count("server.filesystem.inodes_count", "Inodes", "Files that the filesystem can hold; left out where there is no limit");
    INODES_RATIO = MetricSpec::ratio("server.filesystem.inodes_used_ratio", "Inodes used", "Files over the files it can hold")
        .threshold(Threshold::above(Some(0.9), Some(0.97)).hysteresis(0.02).checks(2));
    READ_ONLY = MetricSpec::state("server.filesystem.read_only_state", "Read-only", "1 when it cannot be written to, by its mount or by itself");
    TURNED_READ_ONLY = MetricSpec::state("server.filesystem.turned_read_only_state", "Turned read-only",
        "1 when it cannot be written to and could be before, as after an I/O error")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    STALE = MetricSpec::state("server.filesystem.stale_state", "Stale", "1 when it does not answer statvfs within 5 seconds, as with a network filesystem whose server is gone")
        .threshold(Threshold::above(None, Some(1.0)).hysteresis(0.0));
    GROWTH = MetricSpec::gauge("server.filesystem.growth_per_day_bytes", "bytes", "Filesystem growth", "Growth a day, fitted over 24 hours, 7 and 30 days (label window)").resolution(1.0);
    FULL_IN = MetricSpec::gauge("server.filesystem.full_in_days", "days", "Filesystem full in", "Days until nothing is available at that growth (label window); left out without growth").resolution(0.01);
    FILLING = MetricSpec::state("server.filesystem.filling_state", "Filling up", "1 when full within 7 days and used above 70 %, 2 when full within a day and used above 85 %, 0 otherwise; left out without a forecast")
        .threshold(Threshold::above(Some(1.0), Some(2.0)).hysteresis(0.0).checks(2));
    LEFT_OUT = MetricSpec::count("server.filesystem.left_out_count", "Filesystems left out", "Filesystems beyond the first 64, which are not looked at");
}
