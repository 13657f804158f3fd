//! The text files of /proc, read without allocating more than what is kept.

mod devices;
mod mounts;
mod vital;

pub(crate) use devices::{diskstats, interfaces, mdstat};
pub(crate) use mounts::mountinfo;
pub(crate) use vital::{cpu_times, load, meminfo, netstat, pressure, snmp, stat_counters, vmstat};

/// The number at the start of a text; `None` when there is none.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // f64's own parser takes "inf" and "nan", which no kernel file means.
    if digits == 0 { None } else { text[..digits].parse::<u64>().ok().map(|number| number as f64) }
}

/// The words of a line that are numbers, in order; a word that is none becomes zero.
pub(crate) fn numbers<const N: usize>(words: &mut std::str::SplitAsciiWhitespace<'_>) -> [f64; N] {
    std::array::from_fn(|_| words.next().and_then(number).unwrap_or(0.0))
}
