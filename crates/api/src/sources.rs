//! Whose history a request means: monitors, and sources that are none.

use wise_catalog::{Catalog, CatalogEntry};
use wise_core::{FieldError, MonitorId, Principal, SourceKind, SourceName};

use crate::app::SourceKinds;
use crate::problem::{Kind, Problem};
use crate::routes::{chosen_monitors, list};

/// What a request says of whose history it wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Ids or names of monitors.
    pub(crate) monitors: Option<&'a str>,
    /// Tags of monitors.
    pub(crate) tags: Option<&'a str>,
    /// Sources: kinds, `kind:name`, or ids of monitors.
    pub(crate) source: Option<&'a str>,
}

/// Whose history it is.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) monitors: Vec<CatalogEntry>,
    /// Sources that are no monitors, with their kinds where they are known here.
    pub(crate) named: Vec<(SourceName, Option<&'static SourceKind>)>,
    /// Kinds that are meant, also those that have no source yet.
    pub(crate) kinds: Vec<&'static SourceKind>,
}

/// What is meant, of what someone sees. `known` are the sources that there are. Without any word everything is.
pub(crate) fn chosen(
    catalog: &Catalog,
    kinds: SourceKinds,
    known: Vec<SourceName>,
    by: &Principal,
    wanted: Wanted<'_>,
) -> Result<Chosen, Problem> {
    let words = list(wanted.source);
    let (ids, words): (Vec<String>, Vec<String>) =
        words.into_iter().partition(|word| word.parse::<MonitorId>().is_ok());
    let names_monitors = wanted.monitors.is_some() || wanted.tags.is_some() || !ids.is_empty();
    let mut chosen = Chosen::default();
    if names_monitors || wanted.source.is_none() {
        let named = list(wanted.monitors).into_iter().chain(ids).collect::<Vec<_>>().join(",");
        chosen.monitors = chosen_monitors(catalog, by, Some(&named), wanted.tags)?;
    }
    // A source has no tags, so anyone who sees only monitors with some does not see it.
    if !by.sees(&Default::default()) || (words.is_empty() && names_monitors) {
        return Ok(chosen);
    }
    let is_meant = |word: &str, name: &SourceName| word == name.kind() || word == name.as_str();
    for word in &words {
        if kinds.get(word).is_none() && !known.iter().any(|name| is_meant(word, name)) {
            let all: Vec<&str> =
                kinds.0.iter().map(|kind| kind.kind).chain(known.iter().map(SourceName::as_str)).collect();
            let error = FieldError::new("source", "there is no such source").value(word);
            let hint = format!("use a kind or kind:name, such as {}, or the id of a monitor", all.join(", "));
            return Err(Problem::field(Kind::Malformed, error.hint(hint)));
        }
    }
    let is_any = |name: &SourceName| words.is_empty() || words.iter().any(|word| is_meant(word, name));
    let kind_of = |name: &SourceName| kinds.get(name.kind());
    chosen.named = known.into_iter().filter(is_any).map(|name| (name.clone(), kind_of(&name))).collect();
    chosen.kinds = kinds
        .0
        .iter()
        .copied()
        .filter(|kind| words.is_empty() || words.iter().any(|word| word.split(':').next() == Some(kind.kind)))
        .collect();
    Ok(chosen)
}
