//! Sources that are no monitors: every process that has the store knows those of all others.

use std::collections::BTreeSet;

use mongodb::bson::{Document, doc};
use wise_core::SourceName;

use super::link::Link;
use super::schema::SOURCES;
use crate::error::StoreError;
use crate::ports::{HistoryStore, SourceSamples};

impl Link {
    /// Notes the sources of samples that the spool has none of yet.
    pub(super) fn note_sources(&self, samples: &[SourceSamples]) -> Result<(), StoreError> {
        let is_new = |one: &&SourceSamples| !self.recent.has(&one.source.clone().into());
        let new: BTreeSet<SourceName> = samples.iter().filter(is_new).map(|one| one.source.clone()).collect();
        if !new.is_empty() {
            self.recent.add_sources(&new.iter().cloned().collect::<Vec<_>>())?;
            self.unsent().sources.extend(new);
        }
        Ok(())
    }

    /// Makes spool and MongoDB know the same: takes over what others have sent, and notes what is to be sent.
    pub(super) fn agree_on_sources(&self) -> Result<(), StoreError> {
        let mut theirs = BTreeSet::new();
        self.remote.each(SOURCES, doc! {}, (doc! { "_id": 1 }, None), |document| {
            match document.get_str("_id").unwrap_or_default().parse::<SourceName>() {
                Ok(name) => drop(theirs.insert(name)),
                Err(error) => tracing::error!("a document of {SOURCES} is left out: {error}"),
            }
            Ok(())
        })?;
        let ours: BTreeSet<SourceName> = self.recent.sources()?.into_iter().collect();
        self.recent.add_sources(&theirs.difference(&ours).cloned().collect::<Vec<_>>())?;
        self.unsent().sources = ours.difference(&theirs).cloned().collect();
        Ok(())
    }

    /// Sends sources that MongoDB does not know: before their samples, so that no one has to look for those.
    pub(super) fn send_sources(&self) -> Result<(), StoreError> {
        let names = self.unsent().sources.clone();
        if names.is_empty() {
            return Ok(());
        }
        let put = |name: &SourceName| -> Document {
            let fields = doc! { "kind": name.kind(), "name": name.name() };
            doc! { "q": { "_id": name.as_str() }, "u": { "$set": fields }, "upsert": true }
        };
        if let Some(refused) = self.remote.update(SOURCES, names.iter().map(put).collect())?.first() {
            return Err(StoreError::Server { reason: format!("{SOURCES}: {}", refused.message) });
        }
        self.unsent().sources.retain(|name| !names.contains(name));
        Ok(())
    }

    /// Adds sources, here and in MongoDB.
    pub(super) fn add_sources(&self, all: &[SourceName]) -> Result<(), StoreError> {
        self.recent.add_sources(all)?;
        self.unsent().sources.extend(all.iter().cloned());
        self.send_sources()
    }
}
