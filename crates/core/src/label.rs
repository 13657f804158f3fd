//! Label values that identify a part for certain, however long or strange its name is.
//!
//! Two parts that end in the same labels are one series: they overwrite each other, and the one that is fine ends the
//! alarm of the other. So a name is never shortened, decoded or masked in a way that may give two names one text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use uuid::Uuid;

use crate::report::Labels;

/// The label that tells parts apart that a target itself gives the same name.
pub const OCCURRENCE: &str = "occurrence";

/// Stands for what is no text.
const REPLACEMENT: char = '\u{FFFD}';

/// At most so many characters of a name, and behind them a digest of the whole name where something was cut off: two
/// names never become one. The result has up to 33 characters more than `most`.
pub fn fit(name: &str, most: usize) -> Cow<'_, str> {
    match name.char_indices().nth(most) {
        None => Cow::Borrowed(name),
        // What is cut is longer than what is not, so neither can look like the other.
        Some((end, _)) => {
            let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
            Cow::Owned(format!("{}…{}", &name[..end], digest.simple()))
        }
    }
}

/// A name that need not be UTF-8 as text: what is no UTF-8 is written as U+FFFD and two hexadecimal digits a byte, and
/// U+FFFD itself twice, so that two names never become one.
pub fn from_bytes(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.contains(REPLACEMENT) => Cow::Borrowed(text),
        _ => {
            let mut out = String::with_capacity(name.len() * 2);
            for chunk in name.utf8_chunks() {
                for char in chunk.valid().chars() {
                    out.push(char);
                    if char == REPLACEMENT {
                        out.push(char);
                    }
                }
                for byte in chunk.invalid() {
                    // Writing to a String does not fail.
                    write!(out, "{REPLACEMENT}{byte:02x}").ok();
                }
            }
            Cow::Owned(out)
        }
    }
}

/// The labels of parts, with a finer label for those that the given ones do not tell apart. A name that outlives a new
/// connection, a restart or a new container should come first, and what does not should be the finer one: only those that
/// need it are another series afterwards.
pub fn distinguish<T>(
    labels: Vec<Labels>,
    parts: &[T],
    finer: impl Fn(&Labels, &T) -> Labels,
) -> Vec<Labels> {
    let mut counts: HashMap<Labels, u32> = HashMap::new();
    for labels in &labels {
        *counts.entry(labels.clone()).or_default() += 1;
    }
    let is_alone = |labels: &Labels| counts.get(labels) == Some(&1);
    let each = labels.into_iter().zip(parts);
    each.map(|(labels, part)| if is_alone(&labels) { labels } else { finer(&labels, part) }).collect()
}

/// Gives each part of one report labels of its own, where the target itself may give two parts the same name and nothing
/// else tells them apart.
#[derive(Debug, Default)]
pub struct UniqueLabels(HashSet<Labels>);

impl UniqueLabels {
    /// The labels as they are, or, when an earlier part has them, with the label `occurrence` = 2, 3, and so on.
    pub fn of(&mut self, labels: Labels) -> Labels {
        let mut unique = labels.clone();
        let mut occurrence = 1_u32;
        while !self.0.insert(unique.clone()) {
            occurrence += 1;
            unique = labels.with(OCCURRENCE, occurrence.to_string());
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_stays_and_long_ones_that_begin_alike_differ() {
        assert_eq!(fit("héllo", 5), "héllo");
        let (one, two) = ("x".repeat(200), format!("{}y", "x".repeat(199)));
        let (first, second) = (fit(&one, 40), fit(&two, 40));
        assert_ne!(first, second);
        assert!(first.starts_with(&format!("{}…", "x".repeat(40))));
        assert_eq!(first.chars().count(), 73);
        // The digest is part of what is stored for years.
        assert_eq!(fit("abcdef", 3), "abc…e6a9e23cda2f590883ec5531dd8f004e");
        assert_ne!(fit(&first, 40), first, "a name that looks like a shortened one is another name");
    }

    #[test]
    fn bytes_that_are_no_text_stay_apart() {
        assert_eq!(from_bytes("plain ü".as_bytes()), "plain ü");
        let shown = [&b"a\xff"[..], b"a\xfe", "a\u{FFFD}".as_bytes(), "a\u{FFFD}ff".as_bytes(), b"a\xe2\x82"];
        let shown: Vec<String> = shown.iter().map(|name| from_bytes(name).into_owned()).collect();
        assert_eq!(
            shown,
            [
                "a\u{FFFD}ff",
                "a\u{FFFD}fe",
                "a\u{FFFD}\u{FFFD}",
                "a\u{FFFD}\u{FFFD}ff",
                "a\u{FFFD}e2\u{FFFD}82"
            ]
        );
    }

    #[test]
    fn only_parts_that_are_alike_get_a_finer_label() {
        let ports = ["1", "2", "3"];
        let names = ["a", "b", "a"].map(|name| Labels::one("name", name)).to_vec();
        let labels = distinguish(names, &ports, |labels, port| labels.with("port", *port));
        let a = Labels::one("name", "a");
        assert_eq!(labels, [a.with("port", "1"), Labels::one("name", "b"), a.with("port", "3")]);
    }

    #[test]
    fn the_same_labels_are_given_once() {
        let mut unique = UniqueLabels::default();
        let labels = Labels::one("part", "a");
        let planted = labels.with(OCCURRENCE, "2");
        assert_eq!(unique.of(planted.clone()), planted);
        assert_eq!(unique.of(labels.clone()), labels);
        assert_eq!(unique.of(labels.clone()), labels.with(OCCURRENCE, "3"), "2 is taken");
        assert_eq!(unique.of(Labels::one("part", "b")), Labels::one("part", "b"));
    }
}
