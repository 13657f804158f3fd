//! What is in force, found by id and by name.

use std::collections::{BTreeMap, HashMap};

use wise_core::{Dependencies, MonitorId};

use crate::catalog::CatalogEntry;

/// The definitions in force. Names are taken once.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    by_id: BTreeMap<MonitorId, CatalogEntry>,
    by_name: HashMap<String, MonitorId>,
}

impl Entries {
    /// Every entry, by id.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &CatalogEntry> {
        self.by_id.values()
    }

    pub(crate) fn get(&self, id: MonitorId) -> Option<&CatalogEntry> {
        self.by_id.get(&id)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&CatalogEntry> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// Puts an entry in the place of the one with its id.
    pub(crate) fn put(&mut self, entry: CatalogEntry) {
        let (id, name) = (entry.definition.id, entry.definition.spec.name.clone());
        let old = self.by_id.insert(id, entry);
        if let Some(old) = old.filter(|old| old.definition.spec.name != name) {
            self.forget_name(&old);
        }
        self.by_name.insert(name, id);
    }

    pub(crate) fn remove(&mut self, id: MonitorId) {
        if let Some(old) = self.by_id.remove(&id) {
            self.forget_name(&old);
        }
    }

    fn forget_name(&mut self, old: &CatalogEntry) {
        let name = &old.definition.spec.name;
        if self.by_name.get(name) == Some(&old.definition.id) {
            self.by_name.remove(name);
        }
    }
}

impl Dependencies for Entries {
    fn id_of(&self, name: &str) -> Option<MonitorId> {
        self.by_name.get(name).copied()
    }

    fn name_of(&self, id: MonitorId) -> Option<&str> {
        self.get(id).map(|entry| entry.definition.spec.name.as_str())
    }

    fn needed_by(&self, id: MonitorId) -> Vec<MonitorId> {
        let spec = self.get(id).map(|entry| &entry.definition.spec);
        spec.into_iter().flat_map(|spec| &spec.depends_on).filter_map(|id| id.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use wise_core::{MonitorDefinition, MonitorSpec, Timestamp};

    use super::*;

    fn entry(id: MonitorId, name: &str) -> CatalogEntry {
        let now = Timestamp::default();
        let definition = MonitorDefinition::new(id, MonitorSpec::new(name, "t", json!({})), "", now);
        CatalogEntry { definition: Arc::new(definition), problem: None }
    }

    #[test]
    fn names_follow_their_entries() {
        let mut entries = Entries::default();
        let (a, b) = (MonitorId::generate(), MonitorId::generate());
        entries.put(entry(a, "shop"));
        entries.put(entry(a, "market"));
        entries.put(entry(b, "shop"));
        assert_eq!((entries.id_of("market"), entries.id_of("shop")), (Some(a), Some(b)));
        // The name has gone over to another by the time its first owner takes a new one.
        entries.put(entry(a, "shop"));
        entries.put(entry(b, "other"));
        assert_eq!((entries.id_of("shop"), entries.id_of("market")), (Some(a), None));
        entries.remove(a);
        entries.remove(a);
        assert_eq!(
            (entries.all().len(), entries.id_of("shop"), entries.name_of(b)),
            (1, None, Some("other"))
        );
    }
}
