//! The overview on the wire: an array for each monitor, so that ten thousand of them are two megabytes.
//!
//! The dashboard reads it in `dashboard/src/live/decode.ts`; docs/api-design.md has every field.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeSeq, SerializeTuple, Serializer};
use wise_overview::{BEATS, Group, Summary};

/// What the places of an item's array are.
pub(crate) const FIELDS: [&str; 17] = [
    "id",
    "name",
    "kind",
    "status",
    "down",
    "since",
    "reason",
    "latency_ms",
    "uptime_24h",
    "beats",
    "latency",
    "interval_seconds",
    "tags",
    "depends_on",
    "last_check",
    "group",
    "slot",
];

/// Milliseconds of the lowest level.
const LOWEST: f32 = 0.01;
/// The letters of the levels, the lowest first: what needs no escape in JSON and is no digit, since runs are shortened.
const LETTERS: &[u8; 81] =
    b"#$%&'()*+,-./:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~";
/// The letter of no latency.
const NONE: u8 = b'!';
/// The tag that names the group, which has a place of its own.
const GROUP: &str = "group";

/// A monitor as an array.
pub(crate) struct Compact(pub(crate) Summary);

impl Serialize for Compact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(summary) = self;
        let about = &*summary.about;
        let mut array = serializer.serialize_tuple(FIELDS.len())?;
        array.serialize_element(&summary.id)?;
        array.serialize_element(&about.name)?;
        array.serialize_element(&about.kind)?;
        array.serialize_element(&summary.status.code())?;
        array.serialize_element(&u8::from(summary.down))?;
        array.serialize_element(&summary.since.as_seconds())?;
        array.serialize_element(&summary.reason)?;
        array.serialize_element(&summary.latency_ms.map(rounded))?;
        // To a hundred thousandth, which of a day is a second; what is not wholly up never looks as if it were.
        let ratio = summary.uptime_24h.map(|ratio| (ratio * 1e5).floor() / 1e5);
        array.serialize_element(&ratio.map(Number))?;
        let mut text = [0; 2 * BEATS];
        array.serialize_element(shortened(&summary.beats, &mut text))?;
        let mut levels = [NONE; BEATS];
        for (letter, latency) in levels.iter_mut().zip(summary.latency()) {
            *letter = latency.map_or(NONE, level);
        }
        array.serialize_element(shortened(&levels, &mut text))?;
        array.serialize_element(&Number(about.interval.as_secs_f64()))?;
        array.serialize_element(&Tags(&about.tags))?;
        array.serialize_element(&about.depends_on)?;
        array.serialize_element(&summary.last_check.map(|time| time.as_seconds()))?;
        array.serialize_element(&about.group)?;
        array.serialize_element(&about.slot)?;
        array.end()
    }
}

/// Tags, but for that of the group.
struct Tags<'a>(&'a BTreeMap<String, String>);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(name, _)| *name != GROUP))
    }
}

/// A number without a fraction that says nothing: `1` and not `1.0`.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// Milliseconds with three digits behind the point below ten, with one above.
fn rounded(ms: f64) -> Number {
    let parts = if ms < 10.0 { 1e3 } else { 10.0 };
    Number((ms * parts).round() / parts)
}

/// The bar with runs of one letter as their length and the letter: `57.hf.` are 57 points, h, f and a point.
fn shortened<'t>(beats: &[u8; BEATS], text: &'t mut [u8; 2 * BEATS]) -> &'t str {
    let mut length = 0;
    let mut put = |letter: u8| {
        text[length] = letter;
        length += 1;
    };
    let mut rest: &[u8] = beats;
    while let Some(letter) = rest.first() {
        let run = rest.iter().take_while(|other| *other == letter).count();
        if run > 9 {
            put(b'0' + (run / 10) as u8);
        }
        if run > 1 {
            put(b'0' + (run % 10) as u8);
        }
        put(*letter);
        rest = &rest[run..];
    }
    std::str::from_utf8(&text[..length]).unwrap_or_default()
}

/// The letter of a latency in milliseconds.
fn level(ms: f32) -> u8 {
    // Logarithm by exponent and a parabola through the mantissa, right to a five hundredth: there are six hundred
    // thousand of these in an overview.
    let bits = (ms / LOWEST).max(1.0).to_bits();
    let exponent = (bits >> 23) as f32 - 127.0;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    let log = exponent + (2.0 - mantissa / 3.0) * mantissa - 5.0 / 3.0;
    let number = (log / RATIO_LOG + 0.5) as usize;
    LETTERS[number.min(LETTERS.len() - 1)]
}

/// A level of latency stands for 1.22 times the one before; this is the binary logarithm of that.
const RATIO_LOG: f32 = 0.286_881_15;

/// Groups as arrays: name, centre, radius.
pub(crate) struct Groups(pub(crate) std::sync::Arc<[Group]>);

impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.0.len()))?;
        for group in &*self.0 {
            all.serialize_element(&(&group.name, Number(group.x), Number(group.y), Number(group.radius)))?;
        }
        all.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_shortened_by_their_runs() {
        let text = |bar: &str| {
            let mut beats = [b'.'; BEATS];
            beats[BEATS - bar.len()..].copy_from_slice(bar.as_bytes());
            shortened(&beats, &mut [0; 2 * BEATS]).to_owned()
        };
        assert_eq!(text(""), "60.");
        assert_eq!(text("hhf"), "57.2hf");
        assert_eq!(text(&"hu".repeat(30)), "hu".repeat(30));
        assert_eq!(text(&"h".repeat(10)), "50.10h");
    }

    #[test]
    fn levels_are_right_to_an_eighth_and_need_no_escape() {
        assert!((1.22_f32.log2() - RATIO_LOG).abs() < 1e-6);
        let mut ms = 0.01_f32;
        while ms < 60_000.0 {
            let letter = level(ms);
            let number = LETTERS.iter().position(|other| *other == letter).unwrap();
            let back = LOWEST * 1.22_f32.powi(i32::try_from(number).unwrap());
            assert!((back / ms - 1.0).abs() < 0.125, "{ms}: {back}");
            ms *= 1.003;
        }
        let ends = [0.0, -1.0, f32::NAN, f32::INFINITY].map(level);
        assert_eq!(ends, [b'#', b'#', b'#', b'~']);
        let plain =
            |letter: &u8| letter.is_ascii_graphic() && !letter.is_ascii_digit() && !b"\"\\!".contains(letter);
        assert!(LETTERS.iter().all(plain) && LETTERS.is_sorted());
    }
}
