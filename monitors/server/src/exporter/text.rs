//! Prometheus text, line by line and without copying it.

use std::borrow::Cow;

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    pub name: &'a str,
    labels: &'a str,
    pub value: f64,
}

/// Reads a line; `None` for comments, empty lines and what is no sample.
pub(crate) fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.bytes().position(|byte| matches!(byte, b'{' | b' ' | b'\t'))?;
    let name = &line[..end];
    if name.is_empty()
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    {
        return None;
    }
    let (labels, rest) = if line.as_bytes()[end] == b'{' {
        let inside = &line[end + 1..];
        let close = closing(inside)?;
        (&inside[..close], &inside[close + 1..])
    } else {
        ("", &line[end..])
    };
    // A time may follow the value.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Where the brace closes, given that values in quotes may hold one.
fn closing(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

impl<'a> Sample<'a> {
    /// The value of a label.
    pub(crate) fn label(&self, wanted: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.labels;
        loop {
            let (name, after) = rest.split_once("=\"")?;
            let mut escaped = false;
            let end = after.bytes().position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            })?;
            if name.trim_matches([',', ' ']) == wanted {
                return Some(unescape(&after[..end]));
            }
            rest = &after[end + 1..];
        }
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (char, false) => out.push(char),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_with_labels_escapes_and_times() {
        let plain = sample("node_load1 0.25").unwrap();
        assert_eq!((plain.name, plain.value, plain.label("x")), ("node_load1", 0.25, None));
        let timed = sample("a_total{b=\"c\"} 1e3 1700000000000").unwrap();
        assert_eq!((timed.value, timed.label("b").as_deref()), (1000.0, Some("c")));
        let hard = sample(r#"fs{a="x}\"y\\",mountpoint="/mnt/a b",z=""} 5"#).unwrap();
        assert_eq!(hard.label("a").as_deref(), Some(r#"x}"y\"#));
        assert_eq!(hard.label("mountpoint").as_deref(), Some("/mnt/a b"));
        assert_eq!(hard.label("z").as_deref(), Some(""));
        assert_eq!(hard.label("point"), None);
        assert!(sample("x NaN").unwrap().value.is_nan());
        assert_eq!(sample("x +Inf").unwrap().value, f64::INFINITY);
    }

    #[test]
    fn what_is_no_sample_is_none() {
        for line in
            ["", "# HELP x y", "<html>", "x", "x{", "x{a=\"b", "x{a=\"b\"}", "x{} abc", "é 1", "{} 1", " 1"]
        {
            assert_eq!(sample(line), None, "{line}");
        }
        assert_eq!(sample("x{a=\"b\\\"} 1"), None);
        assert_eq!(sample("x{a=b} 1").unwrap().label("a"), None);
    }
}
