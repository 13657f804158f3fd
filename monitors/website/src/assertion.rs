//! What must hold for an answer, and whether it does.

use http::HeaderMap;
use http::header::HeaderName;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serde_json_path::JsonPath;
use wise_core::FieldError;

use crate::body::Body;

/// Longest part of a found value that is kept as evidence.
const SHOWN: usize = 200;
/// Compiled size at most: a short expression can ask for gigabytes.
const REGEX_LIMIT: usize = 1 << 20;

/// One expectation.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub enum Assertion {
    /// On the status code.
    Status {
        /// How to compare.
        op: NumberOp,
        /// The code to compare with.
        value: u16,
    },
    /// On a response header; of several with that name, one must fit.
    Header {
        /// Name of the header.
        name: String,
        /// How to compare.
        op: TextOp,
        /// The text, or regular expression, to compare with; not for `exists` and `not_exists`.
        #[serde(default)]
        value: Option<String>,
    },
    /// On the text of the body.
    Body {
        /// How to compare.
        op: TextOp,
        /// The text, or regular expression, to compare with.
        value: String,
    },
    /// On a value in a JSON body.
    Json {
        /// JSONPath (RFC 9535), such as `$.items[0].state`. Of several matches, one must fit.
        path: String,
        /// How to compare.
        op: JsonOp,
        /// The JSON value to compare with; for `matches` a regular expression; not for `exists` and `not_exists`.
        #[serde(default)]
        value: Option<Value>,
    },
}

/// Comparisons of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberOp {
    Equals,
    NotEquals,
    GreaterThan,
    LessThan,
}

/// Comparisons of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextOp {
    Equals,
    NotEquals,
    Contains,
    NotContains,
    Matches,
    NotMatches,
    Exists,
    NotExists,
}

/// Comparisons of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonOp {
    Equals,
    NotEquals,
    Contains,
    NotContains,
    Matches,
    NotMatches,
    GreaterThan,
    LessThan,
    Exists,
    NotExists,
}

/// An expectation, ready to be checked.
#[derive(Debug)]
pub(crate) struct Check {
    /// As it reads in evidence.
    pub text: String,
    subject: Subject,
    test: Test,
}

#[derive(Debug)]
enum Subject {
    Status,
    Header(HeaderName),
    Body,
    Json(JsonPath),
}

#[derive(Debug)]
enum Test {
    Number(NumberOp, f64),
    Json(Value, bool),
    Equals(String, bool),
    Contains(String, bool),
    Matches(Box<Regex>, bool),
    Exists(bool),
}

/// Whether an expectation holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Holds,
    /// It does not; the text is what was found.
    Fails(String),
    /// The part of the body that was read does not tell.
    Undecided,
}

impl Assertion {
    /// Compiles expressions and checks that operator and value fit.
    pub(crate) fn compile(&self) -> Result<Check, FieldError> {
        let (subject, test, text) = match self {
            Self::Status { op, value } => (
                Subject::Status,
                Test::Number(*op, f64::from(*value)),
                format!("status {} {value}", name(op)),
            ),
            Self::Header { name: header, op, value } => {
                let parsed = HeaderName::from_bytes(header.as_bytes())
                    .map_err(|_| FieldError::new("name", "is no header name").value(header))?;
                (
                    Subject::Header(parsed),
                    text_test(*op, value.as_deref())?,
                    describe(&format!("header {header}"), op, value.as_ref()),
                )
            }
            Self::Body { op, value } => {
                if matches!(op, TextOp::Exists | TextOp::NotExists) {
                    return Err(FieldError::new("op", "a body has no `exists`")
                        .hint("use contains, equals or matches"));
                }
                (Subject::Body, text_test(*op, Some(value))?, describe("body", op, Some(value)))
            }
            Self::Json { path, op, value } => {
                let parsed = JsonPath::parse(path).map_err(|error| {
                    FieldError::new("path", format!("is no JSONPath: {error}")).value(path)
                })?;
                (
                    Subject::Json(parsed),
                    json_test(*op, value.as_ref())?,
                    describe(&format!("json {path}"), op, value.as_ref()),
                )
            }
        };
        Ok(Check { text, subject, test })
    }
}

fn text_test(op: TextOp, value: Option<&str>) -> Result<Test, FieldError> {
    let needed =
        || value.ok_or_else(|| FieldError::new("value", "missing").hint("add the text to compare with"));
    Ok(match op {
        TextOp::Equals => Test::Equals(needed()?.to_owned(), true),
        TextOp::NotEquals => Test::Equals(needed()?.to_owned(), false),
        TextOp::Contains => Test::Contains(needed()?.to_owned(), true),
        TextOp::NotContains => Test::Contains(needed()?.to_owned(), false),
        TextOp::Matches => Test::Matches(regex(needed()?)?, true),
        TextOp::NotMatches => Test::Matches(regex(needed()?)?, false),
        TextOp::Exists | TextOp::NotExists if value.is_some() => {
            return Err(FieldError::new("value", "`exists` compares with nothing").hint("remove it"));
        }
        TextOp::Exists => Test::Exists(true),
        TextOp::NotExists => Test::Exists(false),
    })
}

fn json_test(op: JsonOp, value: Option<&Value>) -> Result<Test, FieldError> {
    let needed =
        || value.ok_or_else(|| FieldError::new("value", "missing").hint("add the value to compare with"));
    let text =
        || needed()?.as_str().ok_or_else(|| FieldError::new("value", "must be a text for this operator"));
    let number =
        || needed()?.as_f64().ok_or_else(|| FieldError::new("value", "must be a number for this operator"));
    Ok(match op {
        JsonOp::Equals => Test::Json(needed()?.clone(), true),
        JsonOp::NotEquals => Test::Json(needed()?.clone(), false),
        JsonOp::Contains => Test::Contains(text()?.to_owned(), true),
        JsonOp::NotContains => Test::Contains(text()?.to_owned(), false),
        JsonOp::Matches => Test::Matches(regex(text()?)?, true),
        JsonOp::NotMatches => Test::Matches(regex(text()?)?, false),
        JsonOp::GreaterThan => Test::Number(NumberOp::GreaterThan, number()?),
        JsonOp::LessThan => Test::Number(NumberOp::LessThan, number()?),
        JsonOp::Exists | JsonOp::NotExists if value.is_some() => {
            return Err(FieldError::new("value", "`exists` compares with nothing").hint("remove it"));
        }
        JsonOp::Exists => Test::Exists(true),
        JsonOp::NotExists => Test::Exists(false),
    })
}

fn regex(pattern: &str) -> Result<Box<Regex>, FieldError> {
    regex::RegexBuilder::new(pattern).size_limit(REGEX_LIMIT).build().map(Box::new).map_err(|error| {
        FieldError::new("value", format!("is no regular expression: {error}")).value(pattern)
    })
}

fn name<T: Serialize>(op: &T) -> String {
    let name = json!(op);
    name.as_str().unwrap_or_default().replace('_', " ")
}

fn describe<O: Serialize, V: Serialize>(subject: &str, op: &O, value: Option<&V>) -> String {
    match value {
        Some(value) => format!("{subject} {} {}", name(op), shorten(&json!(value).to_string())),
        None => format!("{subject} {}", name(op)),
    }
}

impl Check {
    /// Whether it holds.
    pub(crate) fn verdict(&self, status: u16, headers: &HeaderMap, body: &mut Body) -> Verdict {
        match &self.subject {
            Subject::Status => self.number(f64::from(status)),
            Subject::Header(name) => {
                let values: Vec<String> = headers
                    .get_all(name)
                    .iter()
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                    .collect();
                self.any(values.iter().map(|value| Value::String(value.clone())).collect::<Vec<_>>().iter())
            }
            Subject::Body => {
                let truncated = body.truncated;
                match (self.text(body.text()), truncated) {
                    (verdict, false) => verdict,
                    // What was found cannot become unfound by reading on, and the reverse.
                    (_, true) => match &self.test {
                        Test::Contains(part, wanted) => {
                            found_early(body.text().contains(part.as_str()), *wanted)
                        }
                        Test::Matches(regex, wanted) => found_early(regex.is_match(body.text()), *wanted),
                        Test::Equals(text, wanted) if !text.starts_with(body.text()) => {
                            if *wanted {
                                Verdict::Fails(shorten(body.text()))
                            } else {
                                Verdict::Holds
                            }
                        }
                        _ => Verdict::Undecided,
                    },
                }
            }
            Subject::Json(path) => {
                if body.truncated {
                    return Verdict::Undecided;
                }
                match body.json() {
                    Ok(value) => self.any(path.query(value).all().into_iter()),
                    Err(error) => Verdict::Fails(format!("the body is no JSON: {error}")),
                }
            }
        }
    }

    /// Of several values, one must fit; negative tests must fit them all.
    fn any<'a>(&self, values: impl Iterator<Item = &'a Value>) -> Verdict {
        let values: Vec<&Value> = values.collect();
        let found = || match values.as_slice() {
            [] => "nothing".to_owned(),
            [one] => shorten(&one.to_string()),
            many => shorten(&json!(many).to_string()),
        };
        let holds = match &self.test {
            Test::Exists(wanted) => values.is_empty() != *wanted,
            _ if self.is_negative() => values.iter().all(|value| self.single(value)),
            _ => values.iter().any(|value| self.single(value)),
        };
        if holds { Verdict::Holds } else { Verdict::Fails(found()) }
    }

    fn is_negative(&self) -> bool {
        matches!(
            &self.test,
            Test::Json(_, false)
                | Test::Equals(_, false)
                | Test::Contains(_, false)
                | Test::Matches(_, false)
        )
    }

    fn single(&self, value: &Value) -> bool {
        match (&self.test, value) {
            (Test::Json(expected, wanted), value) => same(expected, value) == *wanted,
            (Test::Number(..), value) => value.as_f64().is_some_and(|n| self.number(n) == Verdict::Holds),
            (Test::Contains(part, wanted), Value::Array(items)) => {
                items.iter().any(|item| item.as_str() == Some(part)) == *wanted
            }
            (_, Value::String(text)) => self.text(text) == Verdict::Holds,
            (_, other) => self.text(&other.to_string()) == Verdict::Holds,
        }
    }

    fn text(&self, text: &str) -> Verdict {
        let holds = match &self.test {
            Test::Equals(expected, wanted) => (text == expected) == *wanted,
            Test::Contains(part, wanted) => text.contains(part.as_str()) == *wanted,
            Test::Matches(regex, wanted) => regex.is_match(text) == *wanted,
            Test::Number(..) | Test::Json(..) | Test::Exists(_) => false,
        };
        if holds { Verdict::Holds } else { Verdict::Fails(shorten(text)) }
    }

    fn number(&self, found: f64) -> Verdict {
        let Test::Number(op, value) = &self.test else { return Verdict::Fails(found.to_string()) };
        let holds = match op {
            NumberOp::Equals => found == *value,
            NumberOp::NotEquals => found != *value,
            NumberOp::GreaterThan => found > *value,
            NumberOp::LessThan => found < *value,
        };
        if holds { Verdict::Holds } else { Verdict::Fails(found.to_string()) }
    }
}

fn found_early(found: bool, wanted: bool) -> Verdict {
    match (found, wanted) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::Fails("found in the part that was read".to_owned()),
        (false, _) => Verdict::Undecided,
    }
}

/// JSON equality in which 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(SHOWN).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(assertion: Value, text: &str, truncated: bool) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert("x-state", "up".parse().unwrap());
        let mut body = Body::new(text.as_bytes().to_vec().into(), truncated);
        serde_json::from_value::<Assertion>(assertion)
            .unwrap()
            .compile()
            .unwrap()
            .verdict(200, &headers, &mut body)
    }

    fn holds(assertion: Value, text: &str) -> bool {
        verdict(assertion, text, false) == Verdict::Holds
    }

    #[test]
    fn each_subject_and_operator() {
        assert!(holds(json!({"on": "status", "op": "less_than", "value": 300}), ""));
        assert!(holds(json!({"on": "header", "name": "X-State", "op": "equals", "value": "up"}), ""));
        assert!(holds(json!({"on": "header", "name": "x-other", "op": "not_exists"}), ""));
        assert!(!holds(json!({"on": "header", "name": "x-other", "op": "contains", "value": "a"}), ""));
        assert!(holds(json!({"on": "header", "name": "x-other", "op": "not_contains", "value": "a"}), ""));
        assert!(holds(json!({"on": "body", "op": "matches", "value": "^a+$"}), "aaa"));
        assert!(holds(json!({"on": "body", "op": "not_contains", "value": "error"}), "fine"));
        let text = r#"{"status": "ok", "n": 3, "list": [{"s": "up"}, {"s": "down"}], "tags": ["a"]}"#;
        assert!(holds(json!({"on": "json", "path": "$.status", "op": "equals", "value": "ok"}), text));
        assert!(holds(json!({"on": "json", "path": "$.n", "op": "equals", "value": 3.0}), text));
        assert!(holds(json!({"on": "json", "path": "$.n", "op": "greater_than", "value": 2}), text));
        assert!(holds(json!({"on": "json", "path": "$.tags", "op": "contains", "value": "a"}), text));
        assert!(holds(json!({"on": "json", "path": "$.list[*].s", "op": "equals", "value": "down"}), text));
        assert!(!holds(
            json!({"on": "json", "path": "$.list[*].s", "op": "not_equals", "value": "down"}),
            text
        ));
        assert!(holds(json!({"on": "json", "path": "$.none", "op": "not_exists"}), text));
        assert!(!holds(json!({"on": "json", "path": "$.n", "op": "exists"}), "<html>"));
    }

    #[test]
    fn a_truncated_body_decides_what_it_can() {
        let contains = |op: &str| json!({"on": "body", "op": op, "value": "needle"});
        assert_eq!(verdict(contains("contains"), "a needle", true), Verdict::Holds);
        assert_eq!(verdict(contains("contains"), "hay", true), Verdict::Undecided);
        assert!(matches!(verdict(contains("not_contains"), "a needle", true), Verdict::Fails(_)));
        assert_eq!(verdict(contains("not_contains"), "hay", true), Verdict::Undecided);
        assert!(matches!(verdict(contains("equals"), "hay", true), Verdict::Fails(_)));
        assert_eq!(verdict(contains("equals"), "need", true), Verdict::Undecided);
        assert_eq!(
            verdict(json!({"on": "json", "path": "$", "op": "exists"}), "{}", true),
            Verdict::Undecided
        );
    }

    #[test]
    fn what_cannot_be_compiled_names_its_field() {
        let field = |value| serde_json::from_value::<Assertion>(value).unwrap().compile().unwrap_err().field;
        assert_eq!(field(json!({"on": "body", "op": "matches", "value": "("})), "value");
        assert_eq!(field(json!({"on": "body", "op": "matches", "value": "(a{1000}){1000}"})), "value");
        assert_eq!(field(json!({"on": "json", "path": "$..[", "op": "exists"})), "path");
        assert_eq!(field(json!({"on": "json", "path": "$", "op": "less_than", "value": "x"})), "value");
        assert_eq!(field(json!({"on": "header", "name": "a b", "op": "exists"})), "name");
        assert_eq!(field(json!({"on": "header", "name": "a", "op": "equals"})), "value");
    }
}
