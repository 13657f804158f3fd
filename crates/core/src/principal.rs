//! Who asks for something, and what they may do.

use std::collections::{BTreeMap, BTreeSet};

/// What someone may do in general. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See.
    Viewer,
    /// Change what is watched.
    Editor,
    /// Change who may do what.
    Admin,
}

/// Who asks: a person, a token, or a part of the server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name that goes into `created_by`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Narrows the role to these permissions; `None` narrows nothing.
    pub scopes: Option<BTreeSet<String>>,
    /// Narrows what they see to monitors that have all of these tags.
    pub tags: BTreeMap<String, String>,
}

impl Principal {
    /// A part of the server, or an operator before there is a login: everything is allowed.
    pub fn unlimited(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::Admin, scopes: None, tags: BTreeMap::new() }
    }

    /// Whether they have a permission, which a role needs at least.
    pub fn may(&self, permission: &str, needs: Role) -> bool {
        self.role >= needs && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(permission))
    }

    /// Whether they see a monitor with these tags.
    pub fn sees(&self, tags: &BTreeMap<String, String>) -> bool {
        self.tags.iter().all(|(name, value)| tags.get(name) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_tags_narrow_and_never_widen() {
        let mut who = Principal { role: Role::Editor, ..Principal::unlimited("ann") };
        assert!(who.may("monitors:write", Role::Editor) && !who.may("users:write", Role::Admin));
        who.scopes = Some(BTreeSet::from(["monitors:read".to_owned(), "users:write".to_owned()]));
        assert!(who.may("monitors:read", Role::Viewer));
        assert!(!who.may("monitors:write", Role::Editor) && !who.may("users:write", Role::Admin));
        let tags = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
        assert!(who.sees(&BTreeMap::new()));
        who.tags.clone_from(&tags);
        assert!(who.sees(&tags) && !who.sees(&BTreeMap::new()));
    }
}
