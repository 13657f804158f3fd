//! The environment as a map: `.env` below, the process's own variables above. Nothing else reads variables, so that
//! tests need not change the process.

use std::collections::BTreeMap;
use std::path::Path;

use wise_core::SecretLookup;

/// Variables by name.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// The process's variables over those of a `.env` file.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(crate) fn load(file: &Path) -> anyhow::Result<Self> {
        let mut variables = BTreeMap::new();
        if file.exists() {
            let wrong = |error: dotenvy::Error| anyhow::anyhow!("{} cannot be read: {error}", file.display());
            for pair in dotenvy::from_path_iter(file).map_err(wrong)? {
                let (name, value) = pair.map_err(wrong)?;
                variables.insert(name, value);
            }
        }
        // Variables that are no text can be none of ours.
        variables.extend(
            std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))),
        );
        Ok(Self(variables))
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// The variables whose names begin with a prefix, without it.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())))
            .collect()
    }
}

impl SecretLookup for Environment {
    fn env(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}
