//! The overview on the wire: an array for each monitor, so that ten thousand of them are two megabytes.
//!
//! The dashboard reads it in `dashboard/src/live/decode.ts`; docs/api-design.md has every field.

use serde::ser::{Serialize, SerializeSeq, SerializeTuple, Serializer};
use wise_storage::{BEATS, Glance, Group};

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

/// A level of latency stands for this much more than the one before.
const RATIO: f32 = 1.2;
/// Milliseconds of the lowest level.
const LOWEST: f32 = 0.01;
/// The letter of no latency.
const NONE: u8 = b'!';
/// The letter of the lowest level.
const FIRST: u8 = b'#';
/// The backslash would need another, so it is left out.
const LEFT_OUT: u8 = b'\\';
/// Levels: up to the tilde, without the letter that is left out.
const LEVELS: u8 = b'~' - FIRST;

/// A monitor as an array.
pub(crate) struct Compact(pub(crate) Glance);

impl Serialize for Compact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(glance) = self;
        let about = &*glance.about;
        let mut array = serializer.serialize_tuple(FIELDS.len())?;
        array.serialize_element(&glance.id)?;
        array.serialize_element(&about.name)?;
        array.serialize_element(&about.kind)?;
        array.serialize_element(&glance.status.code())?;
        array.serialize_element(&u8::from(glance.down))?;
        array.serialize_element(&glance.since.as_seconds())?;
        array.serialize_element(&glance.reason)?;
        array.serialize_element(&glance.latency_ms.map(rounded))?;
        // To a hundred thousandth, which of a day is a second; what is not wholly up never looks as if it were.
        let ratio = glance.uptime_24h.map(|ratio| (ratio * 1e5).floor() / 1e5);
        array.serialize_element(&ratio.map(Number))?;
        let mut text = [0; 2 * BEATS];
        array.serialize_element(shortened(&glance.beats, &mut text))?;
        let mut levels = [NONE; BEATS];
        for (letter, latency) in levels.iter_mut().zip(glance.latency()) {
            *letter = latency.map_or(NONE, level);
        }
        // All of it is ASCII.
        array.serialize_element(std::str::from_utf8(&levels).unwrap_or_default())?;
        array.serialize_element(&Number(about.interval.as_secs_f64()))?;
        array.serialize_element(&about.tags)?;
        array.serialize_element(&about.depends_on)?;
        array.serialize_element(&glance.last_check.map(|time| time.as_seconds()))?;
        array.serialize_element(&about.group)?;
        array.serialize_element(&about.slot)?;
        array.end()
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
    let steps = ((ms / LOWEST).max(1.0).ln() / RATIO.ln()).round();
    let letter = FIRST + (steps as u8).min(LEVELS - 1);
    if letter >= LEFT_OUT { letter + 1 } else { letter }
}

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
    fn levels_are_right_to_a_tenth_and_need_no_escape() {
        for ms in [0.01_f32, 0.5, 1.0, 12.5, 74.0, 999.0, 30_000.0, 100_000.0] {
            let letter = level(ms);
            let steps = letter - FIRST - u8::from(letter > LEFT_OUT);
            let back = LOWEST * RATIO.powi(i32::from(steps));
            assert!((back / ms - 1.0).abs() < 0.1, "{ms}: {back}");
        }
        let all = [0.0, 1e-9, 5e9, f32::INFINITY]
            .into_iter()
            .chain((0..1000).map(|step| 1.02_f32.powi(step) * 0.01));
        for ms in all {
            let letter = level(ms);
            assert!((FIRST..=b'~').contains(&letter) && letter != LEFT_OUT && letter != b'"', "{ms}");
        }
        assert_eq!((level(0.0), level(f32::INFINITY)), (b'#', b'~'));
    }
}
