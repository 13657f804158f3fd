//! Taking in many definitions at once, all or none.

use std::collections::BTreeMap;

use serde_json::Value;
use wise_core::{FieldError, FieldErrors, ManagedBy, MonitorId, MonitorSpec, Principal};

use crate::catalog::{Catalog, CatalogEntry};
use crate::error::CatalogError;
use crate::files::expand;

/// What to do with a monitor whose name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// Take in nothing at all, unless it is the same.
    #[default]
    Fail,
    /// Replace the one that is there.
    Replace,
    /// Leave the one that is there.
    Skip,
}

impl Conflict {
    /// Reads `fail`, `replace` or `skip`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "fail" => Some(Self::Fail),
            "replace" => Some(Self::Replace),
            "skip" => Some(Self::Skip),
            _ => None,
        }
    }
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Monitors that are new.
    pub created: usize,
    /// Monitors that were changed.
    pub replaced: usize,
    /// Monitors that are there as they are wanted.
    pub unchanged: usize,
    /// Monitors that were left as they are, because of their name.
    pub skipped: usize,
}

/// A definition that was found right.
struct Ready {
    number: usize,
    id: MonitorId,
    spec: MonitorSpec,
    old: Option<CatalogEntry>,
}

/// What was done, to be undone.
enum Done {
    Created(MonitorId),
    Replaced(Box<CatalogEntry>),
}

/// Errors of one definition, with its place in the list.
fn of_item(number: usize, errors: FieldErrors) -> Vec<FieldError> {
    let prefix = |mut error: FieldError| {
        let field = if error.field.is_empty() { String::new() } else { format!(".{}", error.field) };
        error.field = format!("monitor[{number}]{field}");
        error
    };
    errors.0.into_iter().map(prefix).collect()
}

impl Catalog {
    /// Takes in definitions, given as in an export: all of them, or none. With `dry_run`, only says what would be done.
    ///
    /// # Errors
    /// What is wrong, with the number of the definition; nothing has changed.
    pub fn import(
        &self,
        all: &[Value],
        conflict: Conflict,
        dry_run: bool,
        by: &Principal,
    ) -> Result<Imported, CatalogError> {
        let _one = self.write();
        let mut done = Imported::default();
        let (all, variables) = literal(all);
        let ready = self.examine(&all, &variables, conflict, &mut done)?;
        let ordered = in_order(ready)?;
        if dry_run {
            return Ok(done);
        }
        let mut undo = Vec::new();
        for one in ordered {
            let name = one.spec.name.clone();
            let outcome = match &one.old {
                None => {
                    self.insert(one.id, one.spec, ManagedBy::Api, None, by).map(|_| Done::Created(one.id))
                }
                Some(old) => {
                    self.update(&old.definition, one.spec, by).map(|_| Done::Replaced(Box::new(old.clone())))
                }
            };
            match outcome {
                Ok(done) => undo.push(done),
                Err(error) => {
                    tracing::error!("importing {name} failed, and what was imported is taken back: {error}");
                    let stayed = self.undo(undo, by);
                    if !stayed.is_empty() {
                        return Err(CatalogError::Partly(stayed.len(), stayed.join(", ")));
                    }
                    return Err(match error {
                        CatalogError::Invalid(errors) => {
                            CatalogError::Invalid(FieldErrors(of_item(one.number, errors)))
                        }
                        other => other,
                    });
                }
            }
        }
        Ok(done)
    }

    /// Looks at every definition, and finds everything that is wrong.
    fn examine(
        &self,
        all: &[Value],
        variables: &BTreeMap<usize, FieldError>,
        conflict: Conflict,
        done: &mut Imported,
    ) -> Result<Vec<Ready>, CatalogError> {
        let name_of = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut errors = Vec::new();
        for (number, name) in
            all.iter().enumerate().filter_map(|(number, value)| Some((number, name_of(value)?)))
        {
            if let Some(first) = names.insert(name.clone(), number) {
                let error = FieldError::new("name", format!("is that of monitor[{first}] too")).value(name);
                errors.extend(of_item(number, error.into()));
            }
        }
        let mut ready = Vec::new();
        for (number, body) in all.iter().enumerate() {
            let old = name_of(body).and_then(|name| self.entries().named(&name).cloned());
            let old = old.as_ref();
            let examined = match variables.get(&number) {
                Some(error) => Err(FieldErrors::from(error.clone()).into()),
                None => self.examine_one(body, old, &names),
            };
            let examined = examined.and_then(|spec| {
                let Some(old) = old else { return Ok(Some((MonitorId::generate(), spec))) };
                if self.resolved(&spec) == old.definition.spec {
                    done.unchanged += 1;
                    return Ok(None);
                }
                match (conflict, &old.definition.managed_by) {
                    (Conflict::Skip, _) => {
                        done.skipped += 1;
                        Ok(None)
                    }
                    (_, ManagedBy::File(file)) => {
                        let error =
                            FieldError::new("name", format!("is that of a monitor in the file {file}"));
                        Err(FieldErrors::from(
                            error.value(&spec.name).hint("change it there, or import with skip"),
                        )
                        .into())
                    }
                    (Conflict::Fail, _) => {
                        let error = FieldError::new("name", "is taken by a monitor that is another");
                        Err(FieldErrors::from(error.value(&spec.name).hint("import with replace or skip"))
                            .into())
                    }
                    (Conflict::Replace, _) => Ok(Some((old.definition.id, spec))),
                }
            });
            match examined {
                Ok(None) => {}
                Ok(Some((id, spec))) => {
                    let count = if old.is_some() { &mut done.replaced } else { &mut done.created };
                    *count += 1;
                    ready.push(Ready { number, id, spec, old: old.cloned() });
                }
                Err(CatalogError::Invalid(wrong)) => errors.extend(of_item(number, wrong)),
                Err(other) => {
                    let error = FieldError::new("", other.to_string());
                    errors.extend(of_item(number, error.into()));
                }
            }
        }
        FieldErrors(errors).into_result()?;
        Ok(ready)
    }

    fn examine_one(
        &self,
        body: &Value,
        old: Option<&CatalogEntry>,
        names: &BTreeMap<String, usize>,
    ) -> Result<MonitorSpec, CatalogError> {
        let spec = self.parse(body.clone(), old.map(|old| &*old.definition))?;
        if spec.depends_on.contains(&spec.name) {
            let error = FieldError::new("depends_on", "names the monitor itself").value(&spec.name);
            return Err(FieldErrors::from(error).into());
        }
        // Dependencies within the import are not there yet.
        let mut alone = spec.clone();
        alone.depends_on.retain(|name| !names.contains_key(name));
        match self.validate(old.map_or_else(MonitorId::generate, |old| old.definition.id), &mut alone) {
            Ok(_) => Ok(spec),
            Err(CatalogError::NameTaken(_)) if old.is_some() => Ok(spec),
            Err(error) => Err(error),
        }
    }

    /// With the ids of its dependencies, as far as they are known.
    fn resolved(&self, spec: &MonitorSpec) -> MonitorSpec {
        let mut spec = spec.clone();
        let entries = self.entries();
        for wanted in &mut spec.depends_on {
            if let Some(found) = entries.named(wanted) {
                *wanted = found.definition.id.to_string();
            }
        }
        spec
    }

    /// Takes back what was done; answers the names of those that could not be.
    fn undo(&self, done: Vec<Done>, by: &Principal) -> Vec<String> {
        let mut stayed = Vec::new();
        for one in done.into_iter().rev() {
            let id = match &one {
                Done::Created(id) => *id,
                Done::Replaced(old) => old.definition.id,
            };
            let Some(now) = self.get(id) else { continue };
            // A store that fails once fails again: what is left is told instead of being tried one by one.
            let outcome = match one {
                _ if !stayed.is_empty() => Err(CatalogError::NotFound),
                // It was never there for anyone.
                Done::Created(id) => self.remove(id).and_then(|()| Ok(self.parts.store.purge_monitor(id)?)),
                Done::Replaced(old) => {
                    self.update(&now.definition, old.definition.spec.clone(), by).map(drop)
                }
            };
            if outcome.is_err() {
                stayed.push(now.definition.spec.name.clone());
            }
        }
        stayed
    }
}

/// Dependencies before those that need them.
fn in_order(mut left: Vec<Ready>) -> Result<Vec<Ready>, CatalogError> {
    let mut ordered = Vec::with_capacity(left.len());
    let mut waiting: std::collections::BTreeSet<String> =
        left.iter().map(|one| one.spec.name.clone()).collect();
    while !left.is_empty() {
        let before = left.len();
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|one| {
            !one.spec.depends_on.iter().any(|name| waiting.contains(name) && *name != one.spec.name)
        });
        for one in &now {
            waiting.remove(&one.spec.name);
        }
        ordered.extend(now);
        left = later;
        if left.len() == before {
            let circle = |one: &Ready| {
                let error = FieldError::new("depends_on", "leads back to itself")
                    .value(one.spec.depends_on.join(", "));
                of_item(one.number, error.into())
            };
            return Err(FieldErrors(left.iter().flat_map(circle).collect()).into());
        }
    }
    Ok(ordered)
}

/// The definitions with `$${` read as `${`, and by their numbers those with a variable: variables are for files alone.
fn literal(all: &[Value]) -> (Vec<Value>, BTreeMap<usize, FieldError>) {
    let mut all = all.to_vec();
    let mut variables = BTreeMap::new();
    for (number, body) in all.iter_mut().enumerate() {
        if let Some(path) = make_literal(body, "") {
            let error = FieldError::new(path, "has a variable, which only files may have");
            let hint = "write the value itself, or `$${` where it has `${`, or put the definition into a file of \
                        monitors.folder";
            variables.insert(number, error.hint(hint));
        }
    }
    (all, variables)
}

/// Reads `$${` as `${` in every text; answers the place of the first text with a variable.
fn make_literal(value: &mut Value, path: &str) -> Option<String> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::String(text) if text.contains("${") => {
            let mut variables = Vec::new();
            let literal = expand(text, &|_| None, &mut variables);
            if !variables.is_empty() || text.replace("$${", "").contains("${") {
                return Some(path.to_owned());
            }
            *text = literal;
            None
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .find_map(|(index, item)| make_literal(item, &format!("{path}[{index}]"))),
        Value::Object(map) => map.iter_mut().find_map(|(key, item)| make_literal(item, &below(key))),
        _ => None,
    }
}
