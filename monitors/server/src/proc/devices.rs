//! Disks, network interfaces and software RAID.

use crate::machine::{Disk, Interface, MAX_PARTS, Traffic};

use super::{number, numbers};

/// The kernel counts sectors of this size, whatever the disk's own.
const SECTOR: f64 = 512.0;

/// /proc/diskstats, of the devices that `wanted` names.
pub(crate) fn diskstats(text: &str, mut wanted: impl FnMut(&str) -> bool) -> Vec<Disk> {
    let mut disks = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2).peekable();
        let Some(name) = words.next() else { continue };
        let is_known = disks.iter().any(|disk: &Disk| disk.name == name);
        if is_known || disks.len() >= MAX_PARTS || !wanted(name) {
            continue;
        }
        // The old short form, four numbers, was that of partitions.
        let found: [Option<f64>; 11] = std::array::from_fn(|_| words.next().and_then(number));
        let [
            Some(reads),
            _,
            Some(read),
            Some(read_ms),
            Some(writes),
            _,
            Some(written),
            Some(write_ms),
            _,
            Some(busy),
            Some(weighted),
        ] = found
        else {
            continue;
        };
        disks.push(Disk {
            name: name.to_owned(),
            reads,
            read_bytes: read * SECTOR,
            read_time: read_ms / 1e3,
            writes,
            written_bytes: written * SECTOR,
            write_time: write_ms / 1e3,
            busy_time: busy / 1e3,
            weighted_time: weighted / 1e3,
        });
    }
    disks
}

/// /proc/net/dev, of the interfaces that `wanted` names.
pub(crate) fn interfaces(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Interface> {
    let mut found = Vec::new();
    for line in text.lines().skip(2) {
        // The name of an alias holds a colon, and the numbers may follow without a space.
        let Some((name, rest)) = line.rsplit_once(':') else { continue };
        let name = name.trim();
        let is_known = found.iter().any(|interface: &Interface| interface.name == name);
        if name.is_empty() || is_known || found.len() >= MAX_PARTS || !wanted(name) {
            continue;
        }
        let fields: [f64; 16] = numbers(&mut rest.split_ascii_whitespace());
        let traffic = |at: usize| Traffic {
            bytes: fields[at],
            packets: fields[at + 1],
            errors: fields[at + 2],
            drops: fields[at + 3],
        };
        found.push(Interface {
            name: name.to_owned(),
            received: traffic(0),
            sent: traffic(8),
            up: None,
            speed: None,
        });
    }
    found
}

/// /proc/mdstat: arrays that miss a member; `None` without arrays.
pub(crate) fn mdstat(text: &str) -> Option<f64> {
    let mut arrays = 0_u32;
    let mut degraded = 0_u32;
    for line in text.lines() {
        if line.starts_with("md") && line.contains(" : ") {
            arrays += 1;
        }
        // `[3/2] [UU_]`: members wanted and there, and each of them.
        let members =
            line.rsplit_once('[').and_then(|(_, tail)| tail.split_once(']')).map(|(members, _)| members);
        if let Some(members) = members
            && line.starts_with(' ')
            && !members.is_empty()
            && members.bytes().all(|byte| matches!(byte, b'U' | b'_'))
            && members.contains('_')
        {
            degraded += 1;
        }
    }
    (arrays > 0).then_some(f64::from(degraded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_in_every_form_of_the_file() {
        let text = "   8 0 sda 10 1 20 30 40 2 50 60 0 70 80 1 2 3 4 5 6\n   8 1 sda1 1 2 3 4\n 254 0 vda 1 1 1 1 1 1 1 1 1 1 1\njunk\n";
        let disks = diskstats(text, |_| true);
        assert_eq!(disks.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>(), ["sda", "vda"]);
        assert_eq!((disks[0].reads, disks[0].read_bytes, disks[0].read_time), (10.0, 10_240.0, 0.03));
        assert_eq!((disks[0].writes, disks[0].written_bytes, disks[0].write_time), (40.0, 25_600.0, 0.06));
        assert_eq!((disks[0].busy_time, disks[0].weighted_time), (0.07, 0.08));
        assert_eq!(diskstats(text, |name| name == "vda").len(), 1);
    }

    #[test]
    fn interfaces_with_and_without_spaces() {
        let text = "Inter-|\n face |bytes\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\neth0:1:9 8 7 6 0 0 0 0 5 4 3 2 0 0 0 0\n";
        let found = interfaces(text, |_| true);
        assert_eq!(found[0].name, "eth0");
        assert_eq!(found[0].received, Traffic { bytes: 1.0, packets: 2.0, errors: 3.0, drops: 4.0 });
        assert_eq!(found[0].sent, Traffic { bytes: 5.0, packets: 6.0, errors: 7.0, drops: 8.0 });
        assert_eq!((found[1].name.as_str(), found[1].received.bytes), ("eth0:1", 9.0));
    }

    #[test]
    fn arrays_that_miss_a_member() {
        assert_eq!(mdstat("Personalities : \nunused devices: <none>\n"), None);
        let healthy =
            "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n      100 blocks [2/2] [UU]\n";
        assert_eq!(mdstat(healthy), Some(0.0));
        let broken = "md0 : active raid1 sda1[0]\n      100 blocks [2/1] [U_]\n      bitmap: 1/1 pages [4KB], 65536KB chunk\nmd1 : active raid0 sda2[0]\n";
        assert_eq!(mdstat(broken), Some(1.0));
    }
}
