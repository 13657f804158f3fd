//! Aggregations of the user's: from JSON to BSON, and sure to read and nothing else.

use bson::{Bson, Document};
use serde_json::{Map, Value};

/// Stages and operators that write, run code on the server, or never end. They are refused wherever they stand, even
/// where they would only be a text: pipelines nest in many stages, and new ones come with every version.
const REFUSED: [&str; 7] = [
    "$out",
    "$merge",
    "$function",
    "$accumulator",
    "$where",
    "$changeStream",
    "$changeStreamSplitLargeEvent",
];

/// The stages as BSON.
///
/// # Errors
/// What is wrong, and with which stage.
pub(crate) fn read(stages: &[Map<String, Value>]) -> Result<Vec<Document>, String> {
    if stages.is_empty() {
        return Err("has no stage".to_owned());
    }
    let read = |(index, stage): (usize, &Map<String, Value>)| {
        let name = match stage.keys().next() {
            Some(name) if stage.len() == 1 && name.starts_with('$') => name,
            _ => return Err(format!("stage {index} is not one operator such as {{\"$match\": …}}")),
        };
        let bson = Bson::try_from(Value::Object(stage.clone()))
            .map_err(|_| format!("stage {index} ({name}) is no extended JSON"))?;
        if let Some(found) = refused(&bson) {
            return Err(format!("stage {index} has {found}, which writes, runs code or never ends"));
        }
        match bson {
            Bson::Document(document) => Ok(document),
            _ => Err(format!("stage {index} ({name}) is no document")),
        }
    };
    stages.iter().enumerate().map(read).collect()
}

/// A refused operator in what the server would be sent. serde_json reads no deeper than 128 levels.
fn refused(value: &Bson) -> Option<String> {
    match value {
        Bson::Document(document) => document.iter().find_map(|(name, value)| {
            let is_internal = name.starts_with("$_");
            if REFUSED.contains(&name.as_str()) || is_internal { Some(name.clone()) } else { refused(value) }
        }),
        Bson::Array(values) => values.iter().find_map(refused),
        Bson::JavaScriptCode(_) | Bson::JavaScriptCodeWithScope(_) => Some("$code".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(stages: Value) -> String {
        let stages: Vec<Map<String, Value>> = serde_json::from_value(stages).unwrap();
        read(&stages).map(|_| String::new()).unwrap_or_else(|error| error)
    }

    #[test]
    fn only_reading_passes() {
        for stages in [
            json!([{"$match": {"done": false, "at": {"$gt": {"$date": "2026-01-01T00:00:00Z"}}}}, {"$count": "n"}]),
            json!([{"$group": {"_id": "$region", "n": {"$sum": 1}}}]),
            json!([{"$lookup": {"from": "b", "pipeline": [{"$match": {"a": 1}}], "as": "c"}}]),
        ] {
            assert_eq!(error(stages), "");
        }
        for stages in [
            json!([{"$match": {}}, {"$out": "copy"}]),
            json!([{"$merge": {"into": "copy"}}]),
            json!([{"$match": {"$where": "sleep(1000)"}}]),
            json!([{"$match": {"$expr": {"$function": {"body": "f", "args": [], "lang": "js"}}}}]),
            json!([{"$group": {"_id": 1, "n": {"$accumulator": {}}}}]),
            json!([{"$facet": {"a": [{"$unionWith": {"coll": "b", "pipeline": [{"$out": "c"}]}}]}}]),
            json!([{"$changeStream": {}}]),
            json!([{"$_internalAllCollectionStats": {}}]),
            json!([{"$match": {"a": {"$code": "f()"}}}]),
        ] {
            assert!(error(stages.clone()).contains("writes, runs code or never ends"), "{stages}");
        }
        assert!(error(json!([])).contains("no stage"));
        assert!(error(json!([{"match": {}}])).contains("stage 0"));
        assert!(error(json!([{"$match": {}, "$out": "b"}])).contains("not one operator"));
        assert!(error(json!([{"$match": {"a": {"$date": "never"}}}])).contains("extended JSON"));
    }

    #[test]
    fn dates_become_dates() {
        let stage = json!({"$match": {"at": {"$date": "1970-01-01T00:00:01Z"}}});
        let Value::Object(stage) = stage else { panic!("an object") };
        let read = read(&[stage]).unwrap();
        let date = read[0].get_document("$match").unwrap().get_datetime("at").unwrap();
        assert_eq!(date.timestamp_millis(), 1000);
    }
}
