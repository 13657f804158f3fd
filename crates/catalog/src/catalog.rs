//! The definitions in force.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use serde_json::Value;
use wise_core::{
    BuildContext, Clock, Event, EventKind, FieldError, FieldErrors, ManagedBy, Monitor, MonitorDefinition,
    MonitorId, MonitorSpec, MonitorState, Plugin, Principal, ProbeSpec, Registry, SealError, SettingsSchema,
    Timestamp, deserialize, validate_dependencies, validate_spec,
};
use wise_orchestrator::{CheckOutcome, MonitorRun, Orchestrator, Restored, StartMode};
use wise_overview::Overview;
use wise_storage::ports::Store;
use wise_storage::{Recorder, Sealer, StoreError};

use crate::entries::Entries;
use crate::error::CatalogError;
use crate::layout::{self, Layout};

/// Setting of the store that has the groups of the galaxy map.
const LAYOUT: &str = "layout";

/// How long a monitor that was removed can be brought back.
pub const RESTORABLE: Duration = Duration::from_secs(24 * 3600);

/// What a catalog works with.
#[derive(Clone)]
pub struct Parts {
    /// The plugins.
    pub registry: Arc<Registry>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Seals secrets before they are stored.
    pub sealer: Arc<Sealer>,
    /// Runs the checks.
    pub orchestrator: Arc<Orchestrator>,
    /// Shows how the monitors stand.
    pub overview: Arc<Overview>,
    /// Stores checks and events.
    pub recorder: Arc<Recorder>,
    /// Given to constructors.
    pub build: BuildContext,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A definition in force.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// The definition, with its secrets open.
    pub definition: Arc<MonitorDefinition>,
    /// Why it cannot be built, if so.
    pub problem: Option<String>,
}

/// The definitions in force.
pub struct Catalog {
    pub(crate) parts: Parts,
    /// One change at a time: names, circles and versions are checked against what is in force.
    writes: Mutex<()>,
    layout: Mutex<Layout>,
    entries: RwLock<Entries>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("monitors", &self.entries().all().len()).finish_non_exhaustive()
    }
}

type Built = Result<Arc<dyn Monitor>, FieldErrors>;

impl Catalog {
    /// An empty catalog; [`Catalog::start`] fills it from the store.
    pub fn new(parts: Parts) -> Self {
        Self { parts, writes: Mutex::default(), layout: Mutex::default(), entries: RwLock::default() }
    }

    /// The plugins.
    pub fn registry(&self) -> &Registry {
        &self.parts.registry
    }

    pub(crate) fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> MutexGuard<'_, ()> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every definition, by id.
    pub fn list(&self) -> Vec<CatalogEntry> {
        self.entries().all().cloned().collect()
    }

    /// One definition.
    pub fn get(&self, id: MonitorId) -> Option<CatalogEntry> {
        self.entries().get(id).cloned()
    }

    /// The definitions that someone sees, by id.
    pub fn visible(&self, to: &Principal) -> Vec<CatalogEntry> {
        self.entries().all().filter(|entry| to.sees(&entry.definition.spec.tags)).cloned().collect()
    }

    /// One definition, if someone sees it.
    pub fn seen(&self, id: MonitorId, by: &Principal) -> Option<CatalogEntry> {
        self.get(id).filter(|entry| by.sees(&entry.definition.spec.tags))
    }

    /// The settings as they may be shown.
    pub fn masked_settings(&self, definition: &MonitorDefinition) -> Value {
        masked_settings(&self.parts.registry, definition)
    }

    /// Names of the monitors that it depends on and that are down, all the way down.
    pub fn affected_by(&self, id: MonitorId) -> Vec<String> {
        let entries = self.entries();
        let mut found = Vec::new();
        let mut seen = std::collections::BTreeSet::from([id]);
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            let Some(entry) = entries.get(at) else { continue };
            for next in entry.definition.spec.depends_on.iter().filter_map(|id| id.parse::<MonitorId>().ok())
            {
                if seen.insert(next) {
                    if self.parts.overview.item(next).is_some_and(|item| item.down) {
                        found.extend(entries.get(next).map(|entry| entry.definition.spec.name.clone()));
                    }
                    stack.push(next);
                }
            }
        }
        found
    }

    /// Adds a monitor from JSON.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed.
    pub fn create(&self, body: Value, by: &Principal) -> Result<CatalogEntry, CatalogError> {
        let _one = self.write();
        self.insert(MonitorId::generate(), self.parse(body, None)?, ManagedBy::Api, None, by)
    }

    /// Adds a monitor; `earlier` is what it was before it was removed, if it comes back.
    pub(crate) fn insert(
        &self,
        id: MonitorId,
        mut spec: MonitorSpec,
        managed_by: ManagedBy,
        earlier: Option<&MonitorDefinition>,
        by: &Principal,
    ) -> Result<CatalogEntry, CatalogError> {
        visible_to_its_maker(&spec, by)?;
        let (plugin, monitor) = self.validate(id, &mut spec)?;
        let now = self.parts.clock.now();
        let mut definition =
            MonitorDefinition { managed_by, ..MonitorDefinition::new(id, spec, &by.name, now) };
        if let Some(earlier) = earlier {
            // It comes back, with its history.
            definition.version = earlier.version + 1;
            definition.created_at = earlier.created_at;
            definition.created_by.clone_from(&earlier.created_by);
        }
        definition.slot = Some(self.take_place(&definition));
        let stored = self.sealed(&definition).and_then(|sealed| {
            match earlier {
                None => self.parts.store.insert_monitor(&sealed)?,
                Some(_) => {
                    let kind = EventKind::Restored { name: sealed.spec.name.clone() };
                    self.parts.store.restore_monitor(&sealed, &Event { monitor: id, time: now, kind })?;
                }
            }
            Ok(())
        });
        if let Err(error) = stored {
            self.free_place(&definition);
            return Err(error);
        }
        // It is in the store, so it is watched, whatever is known of its past.
        let restored = earlier.and_then(|_| {
            self.restored(&definition, plugin).unwrap_or_else(|error| {
                tracing::error!("the past of {} cannot be read: {error}", definition.spec.name);
                None
            })
        });
        Ok(self.put_in_force(definition, plugin, Ok(monitor), restored, StartMode::Now))
    }

    /// Brings a monitor back that was removed, with its id and history.
    ///
    /// # Errors
    /// It was never there, or was purged; its name is taken, or it can no longer be built.
    pub fn restore(&self, id: MonitorId, by: &Principal) -> Result<CatalogEntry, CatalogError> {
        let _one = self.write();
        let removed = self.parts.store.removed_monitors()?;
        let is_meant = |one: &MonitorDefinition| one.id == id && by.sees(&one.spec.tags);
        let Some((mut definition, _)) = removed.into_iter().find(|(one, _)| is_meant(one)) else {
            return Err(if self.seen(id, by).is_some() {
                CatalogError::NotRemoved
            } else {
                CatalogError::NotFound
            });
        };
        if let ManagedBy::File(file) = &definition.managed_by {
            return Err(CatalogError::KeptInFile(file.clone()));
        }
        open_secrets(&mut definition, &self.parts.sealer).map_err(|error| StoreError::Seal(error.0))?;
        self.insert(id, definition.spec.clone(), ManagedBy::Api, Some(&definition), by)
    }

    /// Monitors that someone sees that were removed and can be brought back, and when they were removed; the last one first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn removed(&self, to: &Principal) -> Result<Vec<(MonitorDefinition, Timestamp)>, StoreError> {
        let mut all = self.parts.store.removed_monitors()?;
        all.retain(|(one, _)| to.sees(&one.spec.tags));
        all.reverse();
        Ok(all)
    }

    /// Forgets monitors for good that were removed more than [`RESTORABLE`] ago.
    ///
    /// # Errors
    /// The store cannot be written; it is tried again at the next call.
    pub fn purge(&self) -> Result<usize, StoreError> {
        let _one = self.write();
        let now = self.parts.clock.now();
        let mut count = 0;
        for (definition, at) in self.parts.store.removed_monitors()? {
            if at.plus(RESTORABLE) <= now {
                self.parts.store.purge_monitor(definition.id)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// What the store knows of a monitor that was watched earlier.
    fn restored(
        &self,
        definition: &MonitorDefinition,
        plugin: &'static Plugin,
    ) -> Result<Option<Restored>, StoreError> {
        let id = definition.id;
        let Some(state) = self.parts.store.states()?.remove(&id) else { return Ok(None) };
        let last_checks = self.parts.store.last_checks()?.remove(&id).unwrap_or_default();
        let interval =
            definition.spec.schedules(plugin).first().map_or_else(Default::default, |one| one.interval);
        let from = self.parts.clock.now().minus(Duration::from_secs(86_400));
        let timeline = self.parts.store.timeline(Some(id), from)?.remove(&id).unwrap_or_default();
        self.parts.overview.define(definition, interval, plugin.headline, self.group_number(definition));
        let last_watched = last_checks.get(ProbeSpec::AVAILABILITY).copied();
        self.parts.overview.restore(id, &state, last_watched, timeline.into_iter().collect());
        Ok(Some(Restored { state, last_watched, alive: None, last_checks }))
    }

    /// Replaces a monitor's definition.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed.
    pub fn replace(
        &self,
        id: MonitorId,
        body: Value,
        expected: Option<u64>,
        by: &Principal,
    ) -> Result<CatalogEntry, CatalogError> {
        let _one = self.write();
        let old = self.editable(id, expected, by)?;
        let spec = self.parse(body, Some(&old.definition))?;
        self.update(&old.definition, spec, by)
    }

    /// Changes parts of a monitor's definition by a merge patch (RFC 7396).
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed.
    pub fn patch(
        &self,
        id: MonitorId,
        patch: &Value,
        expected: Option<u64>,
        by: &Principal,
    ) -> Result<CatalogEntry, CatalogError> {
        let _one = self.write();
        let old = self.editable(id, expected, by)?;
        let mut body = serde_json::to_value(&old.definition.spec)
            .map_err(|error| FieldErrors::from(FieldError::new("", error.to_string())))?;
        if !patch.is_object() {
            return Err(FieldErrors::from(FieldError::new("", "wrong type: expected an object")).into());
        }
        merge(&mut body, patch);
        let spec = self.parse(body, Some(&old.definition))?;
        self.update(&old.definition, spec, by)
    }

    pub(crate) fn update(
        &self,
        old: &MonitorDefinition,
        mut spec: MonitorSpec,
        by: &Principal,
    ) -> Result<CatalogEntry, CatalogError> {
        visible_to_its_maker(&spec, by)?;
        let (plugin, monitor) = self.validate(old.id, &mut spec)?;
        let mut definition = MonitorDefinition {
            spec,
            version: old.version + 1,
            updated_at: self.parts.clock.now(),
            updated_by: by.name.clone(),
            ..old.clone()
        };
        let moves = layout::group_of(&definition) != layout::group_of(old);
        if moves {
            definition.slot = None;
            definition.slot = Some(self.take_place(&definition));
        }
        let sealed = self.sealed(&definition);
        let stored = sealed.and_then(|sealed| Ok(self.parts.store.update_monitor(&sealed, old.version)?));
        if let Err(error) = stored {
            if moves {
                self.free_place(&definition);
            }
            return Err(error);
        }
        if moves {
            self.free_place(old);
        }
        Ok(self.put_in_force(definition, plugin, Ok(monitor), None, StartMode::Now))
    }

    /// Removes a monitor.
    ///
    /// # Errors
    /// It is gone, has another version, is kept in a file, or others depend on it.
    pub fn delete(&self, id: MonitorId, expected: Option<u64>, by: &Principal) -> Result<(), CatalogError> {
        let _one = self.write();
        self.editable(id, expected, by)?;
        let text = id.to_string();
        let dependents: Vec<String> = self
            .entries()
            .all()
            .filter(|entry| entry.definition.spec.depends_on.contains(&text))
            .map(|entry| entry.definition.spec.name.clone())
            .collect();
        if !dependents.is_empty() {
            return Err(CatalogError::InUse(dependents.join(", ")));
        }
        self.remove(id)
    }

    pub(crate) fn remove(&self, id: MonitorId) -> Result<(), CatalogError> {
        // No more checks first, so that none of them is stored after it is gone.
        let entry = self.get(id).ok_or(CatalogError::NotFound)?;
        self.parts.orchestrator.remove(id);
        let kind = EventKind::Removed { name: entry.definition.spec.name.clone() };
        let removal = Event { monitor: id, time: self.parts.clock.now(), kind };
        if let Err(error) = self.parts.store.remove_monitor(&removal) {
            self.resume(&entry);
            return Err(error.into());
        }
        self.free_place(&entry.definition);
        self.parts.overview.remove(id);
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }

    /// Lets a monitor that could not be removed be watched as before.
    fn resume(&self, entry: &CatalogEntry) {
        let definition = &entry.definition;
        let Some(plugin) = self.parts.registry.plugin(&definition.spec.kind) else { return };
        let build = self.parts.build.for_monitor(definition.id);
        let monitor = (plugin.build)(definition.spec.settings.clone(), &build);
        let restored = self.parts.overview.item(definition.id).map(|item| Restored {
            state: MonitorState {
                status: item.status,
                down: item.down,
                since: item.since,
                reason: item.reason,
                conditions: item.conditions,
                gap_until: None,
            },
            last_watched: None,
            alive: None,
            last_checks: std::collections::HashMap::new(),
        });
        self.put_in_force((**definition).clone(), plugin, monitor, restored, StartMode::Now);
    }

    fn layout(&self) -> MutexGuard<'_, Layout> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings back the galaxy map, and gives every definition its place.
    pub(crate) fn start_layout(&self, definitions: &mut [MonitorDefinition]) -> Result<(), StoreError> {
        let stored = self.parts.store.meta(LAYOUT)?.unwrap_or_default();
        let mut layout = Layout::from_text(&stored);
        layout.take_all(definitions);
        let text = layout.to_text();
        if text != stored {
            self.store_layout(&text);
        }
        self.parts.overview.set_groups(layout.groups().into());
        *self.layout() = layout;
        Ok(())
    }

    fn take_place(&self, definition: &MonitorDefinition) -> u32 {
        let mut layout = self.layout();
        let before = layout.version();
        let slot = layout.take(layout::group_of(definition), definition.slot);
        if layout.version() != before {
            let (text, groups) = (layout.to_text(), layout.groups().into());
            drop(layout);
            self.parts.overview.set_groups(groups);
            self.store_layout(&text);
        }
        slot
    }

    fn store_layout(&self, text: &str) {
        // It is stored with the next change, or at the next start; that is no reason to refuse a monitor.
        if let Err(error) = self.parts.store.set_meta(LAYOUT, text) {
            tracing::warn!("the galaxy map could not be stored: {error}");
        }
    }

    /// The number of a definition's group.
    pub(crate) fn group_number(&self, definition: &MonitorDefinition) -> u32 {
        self.layout().number(layout::group_of(definition))
    }

    fn free_place(&self, definition: &MonitorDefinition) {
        self.layout().free(layout::group_of(definition), definition.slot);
    }

    /// Checks a monitor now. `None` when it is paused or cannot be built.
    pub async fn check_now(&self, id: MonitorId) -> Option<CheckOutcome> {
        self.parts.orchestrator.check_now(id).await
    }

    /// Checks a definition that is not saved. Masked secrets are taken from the monitor of the same name.
    ///
    /// # Errors
    /// What is wrong with the definition.
    pub async fn try_out(&self, body: Value, by: &Principal) -> Result<Option<CheckOutcome>, CatalogError> {
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        let stored = self.entries().named(name).filter(|entry| by.sees(&entry.definition.spec.tags)).cloned();
        let spec = self.parse(body, stored.as_ref().map(|entry| &*entry.definition))?;
        let plugin = self.plugin(&spec)?;
        validate_spec(&spec, plugin)?;
        // It has no id, and so no past.
        let monitor = (plugin.build)(spec.settings.clone(), &self.parts.build)?;
        let now = self.parts.clock.now();
        let definition =
            MonitorDefinition { version: 0, ..MonitorDefinition::new(MonitorId::generate(), spec, "", now) };
        Ok(self.parts.orchestrator.try_out(&definition, plugin, monitor).await)
    }

    fn editable(
        &self,
        id: MonitorId,
        expected: Option<u64>,
        by: &Principal,
    ) -> Result<CatalogEntry, CatalogError> {
        let entry = self.seen(id, by).ok_or(CatalogError::NotFound)?;
        if let ManagedBy::File(file) = &entry.definition.managed_by {
            return Err(CatalogError::KeptInFile(file.clone()));
        }
        match expected {
            Some(version) if version != entry.definition.version => {
                Err(CatalogError::Stale { found: entry.definition.version })
            }
            _ => Ok(entry),
        }
    }

    /// JSON into a spec, with stored secrets put where the mask was sent back.
    pub(crate) fn parse(
        &self,
        body: Value,
        stored: Option<&MonitorDefinition>,
    ) -> Result<MonitorSpec, CatalogError> {
        if !body.is_object() {
            return Err(FieldErrors::from(FieldError::new("", "wrong type: expected an object")).into());
        }
        let mut spec: MonitorSpec = deserialize(body)?;
        let plugin = self.plugin(&spec)?;
        let same_kind =
            stored.filter(|stored| stored.spec.kind == spec.kind).map(|stored| &stored.spec.settings);
        SettingsSchema::new((plugin.schema)()).unmask(&mut spec.settings, same_kind)?;
        Ok(spec)
    }

    fn plugin(&self, spec: &MonitorSpec) -> Result<&'static Plugin, CatalogError> {
        self.parts.registry.plugin(&spec.kind).ok_or_else(|| {
            let error = FieldError::new("kind", "there is no such kind of monitor").value(&spec.kind);
            FieldErrors::from(error.hint(format!("known here: {}", self.parts.registry.kinds()))).into()
        })
    }

    /// Everything that can be wrong with a spec. Dependencies become ids.
    pub(crate) fn validate(
        &self,
        id: MonitorId,
        spec: &mut MonitorSpec,
    ) -> Result<(&'static Plugin, Arc<dyn Monitor>), CatalogError> {
        let plugin = self.plugin(spec)?;
        let mut errors = validate_spec(spec, plugin).err().unwrap_or_default();
        let built = (plugin.build)(spec.settings.clone(), &self.parts.build.for_monitor(id));
        if let Err(wrong) = &built
            && spec.settings.is_object()
        {
            errors.0.extend(wrong.0.iter().cloned());
        }
        let entries = self.entries();
        match validate_dependencies(id, spec, &*entries) {
            Ok(ids) => spec.depends_on = ids.iter().map(ToString::to_string).collect(),
            Err(wrong) => errors.0.extend(wrong.0),
        }
        errors.into_result()?;
        if entries.named(&spec.name).is_some_and(|other| other.definition.id != id) {
            return Err(CatalogError::NameTaken(spec.name.clone()));
        }
        Ok((plugin, built?))
    }

    /// The definition as it goes into the store.
    fn sealed(&self, definition: &MonitorDefinition) -> Result<MonitorDefinition, CatalogError> {
        let mut sealed = definition.clone();
        if let Some(plugin) = self.parts.registry.plugin(&definition.spec.kind) {
            let place = place(definition.id);
            SettingsSchema::new((plugin.schema)())
                .seal(&mut sealed.spec.settings, &|text| self.parts.sealer.seal(&place, text))
                .map_err(|error| CatalogError::Store(wise_storage::StoreError::Seal(error.0)))?;
        }
        Ok(sealed)
    }

    pub(crate) fn put_in_force(
        &self,
        definition: MonitorDefinition,
        plugin: &'static Plugin,
        monitor: Built,
        restored: Option<Restored>,
        start: StartMode,
    ) -> CatalogEntry {
        let definition = Arc::new(definition);
        let entry = CatalogEntry {
            definition: definition.clone(),
            problem: monitor.as_ref().err().map(ToString::to_string),
        };
        let interval =
            definition.spec.schedules(plugin).first().map_or_else(Default::default, |first| first.interval);
        let group = self.group_number(&definition);
        self.parts.overview.define(&definition, interval, plugin.headline, group);
        self.entries.write().unwrap_or_else(PoisonError::into_inner).put(entry.clone());
        self.parts.orchestrator.upsert(MonitorRun { definition, plugin, monitor, restored, start });
        entry
    }
}

/// No one makes, or tags, a monitor so that they do not see it themselves.
fn visible_to_its_maker(spec: &MonitorSpec, by: &Principal) -> Result<(), FieldErrors> {
    if by.sees(&spec.tags) {
        return Ok(());
    }
    let tags: Vec<String> = by.tags.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let error = FieldError::new("tags", format!("{} sees only monitors with other tags", by.name));
    Err(error.hint(format!("give it these: {}", tags.join(", "))).into())
}

/// The settings as they may be shown.
pub(crate) fn masked_settings(registry: &Registry, definition: &MonitorDefinition) -> Value {
    let mut settings = definition.spec.settings.clone();
    match registry.plugin(&definition.spec.kind) {
        Some(plugin) => SettingsSchema::new((plugin.schema)()).mask(&mut settings),
        // Without its schema no one knows what is secret.
        None => settings = Value::Object(serde_json::Map::new()),
    }
    settings
}

/// Opens the secrets of a definition from the store.
///
/// # Errors
/// A secret cannot be opened with this key.
pub fn open_secrets(definition: &mut MonitorDefinition, sealer: &Sealer) -> Result<(), SealError> {
    let place = place(definition.id);
    SettingsSchema::unseal(&mut definition.spec.settings, &|text| sealer.open_text(&place, text))
}

/// Where a sealed secret belongs; it opens nowhere else.
fn place(id: MonitorId) -> String {
    format!("monitor:{id}")
}

/// RFC 7396: null removes, objects merge, everything else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(map) = target {
        for (key, change) in changes {
            if change.is_null() {
                map.remove(key);
            } else {
                merge(map.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
    }
}
