//! /proc/PID/mountinfo.

use crate::machine::Mount;

/// The mounts, each with the last that hides what was mounted there before.
pub(crate) fn mountinfo(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut left = left.split_ascii_whitespace().skip(2);
        let (Some(number), Some(_), Some(point), Some(options)) =
            (left.next(), left.next(), left.next(), left.next())
        else {
            continue;
        };
        let mut right = right.split_ascii_whitespace();
        let (Some(kind), Some(device)) = (right.next(), right.next()) else { continue };
        let own = right.next().unwrap_or_default();
        let is_read_only = options.split(',').any(|option| option == "ro")
            // The kernel's own word for a filesystem that it shut down after errors.
            || own.split(',').any(|option| matches!(option, "ro" | "emergency_ro" | "shutdown"));
        let mount = Mount {
            point: unescape(point),
            device: unescape(device),
            kind: kind.to_owned(),
            read_only: is_read_only,
            number: number.to_owned(),
        };
        match mounts.iter_mut().find(|known| known.point == mount.point) {
            Some(hidden) => *hidden = mount,
            None => mounts.push(mount),
        }
    }
    mounts
}

/// The kernel writes spaces and the like as three octal digits.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code =
            bytes.get(at + 1..at + 4).filter(|code| code.iter().all(|byte| (b'0'..=b'7').contains(byte)));
        match code {
            Some(code) if bytes[at] == b'\\' && code[0] <= b'3' => {
                out.push(code.iter().fold(0, |value, digit| value * 8 + (digit - b'0')));
                at += 4;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_with_options_escapes_and_hidden_ones() {
        let text = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
            28 27 0:25 / /mnt/a\\040b ro,nosuid - tmpfs tmp\\134fs rw\n\
            29 27 8:1 / /data rw - xfs /dev/sda1 rw\n\
            30 29 0:40 /sub /data rw,noatime - nfs4 host:/x rw\n\
            31 27 8:2 / /var rw - ext4 /dev/sda2 rw,emergency_ro\nbroken line\n";
        let mounts = mountinfo(text);
        assert_eq!(mounts.len(), 4);
        assert_eq!(
            (mounts[0].point.as_str(), mounts[0].number.as_str(), mounts[0].read_only),
            ("/", "254:0", false)
        );
        assert_eq!(
            (mounts[1].point.as_str(), mounts[1].device.as_str(), mounts[1].read_only),
            ("/mnt/a b", "tmp\\fs", true)
        );
        assert_eq!((mounts[2].point.as_str(), mounts[2].kind.as_str()), ("/data", "nfs4"));
        assert!(mounts[3].read_only);
        assert_eq!(unescape("a\\b\\9\\777é"), "a\\b\\9\\777é");
    }
}
