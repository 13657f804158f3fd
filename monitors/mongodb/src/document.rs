//! Values out of answers. Servers differ in the types of their numbers, so any number will do; what is not there is
//! `None`, never zero.

use bson::{Bson, Document};

/// The value at a path of names.
pub(crate) fn at<'a>(document: &'a Document, path: &[&str]) -> Option<&'a Bson> {
    let (last, parents) = path.split_last()?;
    let mut current = document;
    for name in parents {
        current = current.get_document(name).ok()?;
    }
    current.get(last)
}

/// The number at a path.
pub(crate) fn number(document: &Document, path: &[&str]) -> Option<f64> {
    at(document, path).and_then(as_number)
}

/// A value as a number.
pub(crate) fn as_number(value: &Bson) -> Option<f64> {
    let number = match value {
        Bson::Double(number) => *number,
        Bson::Int32(number) => f64::from(*number),
        Bson::Int64(number) => *number as f64,
        Bson::Decimal128(number) => number.to_string().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// The text at a path.
pub(crate) fn text<'a>(document: &'a Document, path: &[&str]) -> Option<&'a str> {
    at(document, path)?.as_str()
}

/// The document at a path.
pub(crate) fn part<'a>(document: &'a Document, path: &[&str]) -> Option<&'a Document> {
    at(document, path)?.as_document()
}

/// Whether the value at a path is true; numbers other than zero are.
pub(crate) fn is(document: &Document, path: &[&str]) -> bool {
    match at(document, path) {
        Some(Bson::Boolean(truth)) => *truth,
        Some(other) => as_number(other).is_some_and(|number| number != 0.0),
        None => false,
    }
}

/// The date at a path, in seconds since 1970. 1970 itself stands for "never" in MongoDB's answers.
pub(crate) fn date(document: &Document, path: &[&str]) -> Option<f64> {
    let Bson::DateTime(date) = at(document, path)? else { return None };
    let millis = date.timestamp_millis();
    (millis > 0).then(|| millis as f64 / 1e3)
}

/// The documents of an array.
pub(crate) fn documents<'a>(
    document: &'a Document,
    path: &[&str],
) -> impl Iterator<Item = &'a Document> + use<'a> {
    let array = at(document, path).and_then(Bson::as_array);
    array.into_iter().flatten().filter_map(Bson::as_document)
}

/// The first batch of a cursor.
pub(crate) fn batch(answer: &Document) -> impl Iterator<Item = &Document> {
    documents(answer, &["cursor", "firstBatch"])
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc};

    use super::*;

    #[test]
    fn numbers_may_have_any_type_and_nothing_is_not_zero() {
        let answer = doc! {"a": {"double": 1.5, "int": 2, "long": 3i64, "nan": f64::NAN, "text": "4"}};
        for (name, value) in [
            ("double", Some(1.5)),
            ("int", Some(2.0)),
            ("long", Some(3.0)),
            ("nan", None),
            ("text", None),
            ("none", None),
        ] {
            assert_eq!(number(&answer, &["a", name]), value, "{name}");
        }
        assert_eq!(number(&answer, &["a", "int", "deeper"]), None);
    }

    #[test]
    fn the_year_1970_is_no_date() {
        let answer = doc! {"never": DateTime::from_millis(0), "then": DateTime::from_millis(1_500)};
        assert_eq!(date(&answer, &["never"]), None);
        assert_eq!(date(&answer, &["then"]), Some(1.5));
    }
}
