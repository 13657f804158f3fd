//! /proc/PID/mountinfo.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use wise_core::label;

use crate::machine::Mount;

/// The mounts, each with the last that hides what was mounted there before. Names are bytes, and need not be text.
pub(crate) fn mountinfo(bytes: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in bytes.split(|byte| *byte == b'\n').filter_map(mount) {
        match mounts.iter_mut().find(|known| known.path == mount.path) {
            Some(hidden) => *hidden = mount,
            None => mounts.push(mount),
        }
    }
    mounts
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).skip(2);
    let (number, _, point, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    // Fields that a kernel may have or not stand between.
    words.find(|word| *word == b"-")?;
    let (kind, device, own) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    let has = |options: &[u8], wanted: &[&[u8]]| {
        options.split(|byte| *byte == b',').any(|one| wanted.contains(&one))
    };
    let path = unescape(point);
    Some(Mount {
        point: label::from_bytes(&path).into_owned(),
        path: OsString::from_vec(path).into(),
        device: label::from_bytes(&unescape(device)).into_owned(),
        kind: label::from_bytes(kind).into_owned(),
        // The kernel's own words for a filesystem that it shut down after errors are beside `ro`.
        read_only: has(options, &[b"ro"]) || has(own, &[b"ro", b"emergency_ro", b"shutdown"]),
        number: label::from_bytes(number).into_owned(),
    })
}

/// The kernel writes spaces and the like as three octal digits.
fn unescape(bytes: &[u8]) -> Vec<u8> {
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
    out
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
        let mounts = mountinfo(text.as_bytes());
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
        let plain = "a\\b\\9\\777é".as_bytes();
        assert_eq!(unescape(plain), plain);
    }

    #[test]
    fn mount_points_that_are_no_text_stay_apart() {
        let line = |point: &[u8], number: &str| {
            [b"27 1 ", number.as_bytes(), b" / ", point, b" rw - ext4 /dev/sda1 rw\n"].concat()
        };
        let text =
            [line(b"/mnt/\xff", "8:1"), line(b"/mnt/\xfe", "8:2"), line(b"/mnt/\\377", "8:3")].concat();
        let mounts = mountinfo(&text);
        let points: Vec<_> =
            mounts.iter().map(|mount| (mount.point.as_str(), mount.number.as_str())).collect();
        // The last is the first once more: the kernel may write a byte either way.
        assert_eq!(points, [("/mnt/\u{fffd}ff", "8:3"), ("/mnt/\u{fffd}fe", "8:2")]);
        assert_eq!(mounts[0].path.as_os_str().as_encoded_bytes(), b"/mnt/\xff");
    }
}
