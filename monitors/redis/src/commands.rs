//! Which commands a custom query may be: those that only read, whose effort does not grow with the data, and whose
//! answers are numbers. Whatever is not on the list is refused when the monitor is built.

use std::time::Duration;

use wise_core::{FieldError, FieldErrors};

use crate::config::RedisQuery;

/// How an answer becomes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A number.
    Number,
    /// A number, where negative ones stand for "none": TTL.
    Duration,
    /// A text that should be a number; its length is asked first by this command, because values may be huge.
    Text(&'static str),
    /// The summary of XPENDING: the total, and one row for each consumer.
    Pending,
}

/// A command on the list.
#[derive(Debug)]
pub(crate) struct Allowed {
    name: &'static str,
    /// A second word that belongs to the name, as in `MEMORY USAGE`.
    second: Option<&'static str>,
    /// Arguments after the name.
    arguments: std::ops::RangeInclusive<usize>,
    pub shape: Shape,
}

const fn allowed(name: &'static str, least: usize, most: usize, shape: Shape) -> Allowed {
    Allowed { name, second: None, arguments: least..=most, shape }
}

/// Keys of an EXISTS at most: its effort grows with them.
const MAX_KEYS: usize = 100;

static ALLOWED: [Allowed; 27] = [
    allowed("DBSIZE", 0, 0, Shape::Number),
    allowed("EXISTS", 1, MAX_KEYS, Shape::Number),
    allowed("TTL", 1, 1, Shape::Duration),
    allowed("PTTL", 1, 1, Shape::Duration),
    allowed("EXPIRETIME", 1, 1, Shape::Duration),
    allowed("PEXPIRETIME", 1, 1, Shape::Duration),
    allowed("GET", 1, 1, Shape::Text("STRLEN")),
    allowed("STRLEN", 1, 1, Shape::Number),
    allowed("GETBIT", 2, 2, Shape::Number),
    allowed("LLEN", 1, 1, Shape::Number),
    allowed("SCARD", 1, 1, Shape::Number),
    allowed("SISMEMBER", 2, 2, Shape::Number),
    allowed("HLEN", 1, 1, Shape::Number),
    allowed("HGET", 2, 2, Shape::Text("HSTRLEN")),
    allowed("HSTRLEN", 2, 2, Shape::Number),
    allowed("HEXISTS", 2, 2, Shape::Number),
    allowed("ZCARD", 1, 1, Shape::Number),
    allowed("ZCOUNT", 3, 3, Shape::Number),
    allowed("ZLEXCOUNT", 3, 3, Shape::Number),
    allowed("ZSCORE", 2, 2, Shape::Number),
    allowed("ZRANK", 2, 2, Shape::Number),
    allowed("ZREVRANK", 2, 2, Shape::Number),
    allowed("XLEN", 1, 1, Shape::Number),
    // Without a range: with one it answers entries.
    allowed("XPENDING", 2, 2, Shape::Pending),
    Allowed { name: "MEMORY", second: Some("USAGE"), arguments: 1..=1, shape: Shape::Number },
    Allowed { name: "OBJECT", second: Some("IDLETIME"), arguments: 1..=1, shape: Shape::Number },
    Allowed { name: "OBJECT", second: Some("FREQ"), arguments: 1..=1, shape: Shape::Number },
];

/// A custom query, ready to be asked.
#[derive(Debug)]
pub(crate) struct Query {
    pub name: String,
    pub words: Vec<String>,
    pub shape: Shape,
    pub column: String,
    pub timeout: Duration,
    pub max_rows: usize,
}

impl Query {
    /// The command, in words of an ACL rule.
    pub(crate) fn rule(&self) -> String {
        let words = if self.has_second() { 2 } else { 1 };
        self.words[..words].join("|").to_ascii_lowercase()
    }

    fn has_second(&self) -> bool {
        let first = &self.words[0];
        ALLOWED.iter().any(|known| known.second.is_some() && known.name.eq_ignore_ascii_case(first))
    }
}

/// Reads the commands of custom queries.
pub(crate) fn read(queries: &[RedisQuery], errors: &mut FieldErrors) -> Vec<Query> {
    let mut out = Vec::with_capacity(queries.len());
    for (index, query) in queries.iter().enumerate() {
        let field = |name: &str| format!("queries[{index}].{name}");
        if !is_column(&query.column) {
            errors.push(
                FieldError::new(field("column"), "is no word of lower-case letters, digits and _")
                    .value(&query.column)
                    .hint("use a name such as length_count"),
            );
        }
        match command(&query.command) {
            Ok((words, shape)) => out.push(Query {
                name: query.name.clone(),
                words,
                shape,
                column: query.column.clone(),
                timeout: query.limits.timeout.0,
                max_rows: query.limits.max_rows,
            }),
            Err(reason) => errors.push(
                FieldError::new(field("command"), reason).hint(format!("use one of {}", names().join(", "))),
            ),
        }
    }
    out
}

fn names() -> Vec<String> {
    let name = |known: &Allowed| match known.second {
        Some(second) => format!("{} {second}", known.name),
        None => known.name.to_owned(),
    };
    ALLOWED.iter().map(name).collect()
}

fn is_column(text: &str) -> bool {
    text.len() <= 60
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The words of a command on the list. Reasons name the command and never its arguments.
fn command(text: &str) -> Result<(Vec<String>, Shape), String> {
    let words = split(text)?;
    let Some(first) = words.first() else { return Err("is empty".to_owned()) };
    let mut of_name = ALLOWED.iter().filter(|known| known.name.eq_ignore_ascii_case(first)).peekable();
    if of_name.peek().is_none() {
        let shown = wise_database::shorten(first, 20);
        return Err(format!("is {shown}, which is not among the commands that only read in little time"));
    }
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    let known = of_name
        .find(|known| known.second.is_none_or(|wanted| wanted.eq_ignore_ascii_case(second)))
        .ok_or_else(|| {
        format!("is {} with a second word that is not allowed", first.to_ascii_uppercase())
    })?;
    let count = words.len() - 1 - usize::from(known.second.is_some());
    if !known.arguments.contains(&count) {
        let (least, most) = (known.arguments.start(), known.arguments.end());
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        return Err(format!("has {count} arguments after {}, which takes {wanted}", known.name));
    }
    Ok((words, known.shape))
}

/// Words by spaces; double quotes keep spaces, a backslash within them keeps a quote.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut letters = text.trim().chars().peekable();
    while letters.peek().is_some() {
        let mut word = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') => break,
                    Some('\\') => word.extend(letters.next()),
                    Some(letter) => word.push(letter),
                    None => return Err("has a quote without an end".to_owned()),
                }
            }
            if letters.peek().is_some_and(|letter| !letter.is_whitespace()) {
                return Err("has something right behind a closing quote".to_owned());
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace()) {
                word.push(letter);
            }
        }
        words.push(word);
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_read_in_little_time_pass() {
        for refused in [
            "SET a 1",
            "DEL a",
            "FLUSHALL",
            "KEYS *",
            "EVAL \"return 1\" 0",
            "CONFIG SET dir /",
            "CONFIG GET dir",
            "GETDEL a",
            "GETSET a b",
            "GETEX a",
            "INCR a",
            "DEBUG SLEEP 9",
            "SHUTDOWN",
            "SMEMBERS a",
            "HGETALL a",
            "LRANGE a 0 -1",
            "BLPOP a 0",
            "SUBSCRIBE a",
            "MULTI",
            "MEMORY PURGE",
            "OBJECT ENCODING a",
            "CLIENT KILL ID 1",
            "SORT a STORE b",
            "PFCOUNT a",
            "XPENDING a g - + 10",
            "SELECT 1",
            "AUTH a b",
            "GETRANGE a 0 -1",
            "BITCOUNT a",
        ] {
            assert!(command(refused).is_err(), "{refused}");
        }
        for (text, count, shape) in [
            ("LLEN queue:mail", 2, Shape::Number),
            ("get \"my key\"", 2, Shape::Text("STRLEN")),
            ("ZCOUNT due -inf (5", 4, Shape::Number),
            ("xpending jobs workers", 3, Shape::Pending),
            ("memory usage big", 3, Shape::Number),
            ("object freq hot", 3, Shape::Number),
            ("TTL lock", 2, Shape::Duration),
            ("DBSIZE", 1, Shape::Number),
        ] {
            let (words, found) = command(text).unwrap();
            assert_eq!((words.len(), found), (count, shape), "{text}");
        }
    }

    #[test]
    fn reasons_say_what_is_wrong() {
        for (text, part) in [
            ("", "is empty"),
            ("FLUSHALL", "FLUSHALL"),
            ("GET", "takes 1"),
            ("GET a b", "2 arguments"),
            ("EXISTS", "1 to 100"),
            ("OBJECT ENCODING a", "second word"),
            ("GET \"a", "quote"),
            ("GET \"a\"b", "behind"),
        ] {
            let reason = command(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split(r#"HGET  "a b"  "c\"d" "#).unwrap(), ["HGET", "a b", "c\"d"]);
        assert_eq!(split("GET \"\"").unwrap(), ["GET", ""]);
    }
}
