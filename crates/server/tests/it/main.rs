//! The rules of the plugin contract, over every linked plugin.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use wise_all_monitors as _;
use wise_core::{BuildContext, Registry, SecretLookup, conformance};

struct NoSecrets;

impl SecretLookup for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("no file {path} in this test"))
    }
}

#[test]
fn every_plugin_keeps_the_contract() {
    let registry = Registry::linked().unwrap();
    let cx = BuildContext::new(Arc::new(NoSecrets));
    let problems: Vec<String> = registry
        .plugins()
        .flat_map(|plugin| {
            conformance::problems(plugin, &cx)
                .into_iter()
                .map(move |problem| format!("{}: {problem}", plugin.kind))
        })
        .collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn every_folder_is_linked() {
    let folders: BTreeSet<String> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitors"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace('-', "_"))
            .collect();
    let kinds: BTreeSet<String> =
        Registry::linked().unwrap().plugins().map(|plugin| plugin.kind.to_owned()).collect();
    assert_eq!(kinds, folders);
}
