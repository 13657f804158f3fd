//! Definitions: versions, names, and many writers at once.

use std::sync::Barrier;
use std::thread;

use wise_storage::StoreError;

use crate::{START, added, at, definition, on_every_backend, removal, total};

#[test]
fn versions_guard_changes_and_names_are_taken_once() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let mut shop = definition("shop");
        store.insert_monitor(&shop).unwrap();
        assert!(
            matches!(store.insert_monitor(&definition("shop")), Err(StoreError::NameTaken(name)) if name == "shop")
        );
        shop.version = 2;
        shop.spec.name = "store".to_owned();
        store.update_monitor(&shop, 1).unwrap();
        assert!(matches!(store.update_monitor(&shop, 1), Err(StoreError::Stale { found: 2 })));
        assert!(matches!(store.update_monitor(&definition("x"), 1), Err(StoreError::NotFound)));
        let mut other = definition("other");
        store.insert_monitor(&other).unwrap();
        other.spec.name = "store".to_owned();
        other.version = 2;
        assert!(matches!(store.update_monitor(&other, 1), Err(StoreError::NameTaken(_))));
        store.set_meta("first", "a").unwrap();
        store.set_meta("first", "ü").unwrap();
        drop(store);
        let store = bed.open(at(1));
        let mut names: Vec<String> = store.monitors().unwrap().into_iter().map(|one| one.spec.name).collect();
        names.sort();
        assert_eq!(names, ["other", "store"], "what was refused changed nothing");
        assert_eq!(store.monitors().unwrap().into_iter().find(|one| one.id == shop.id), Some(shop.clone()));
        assert_eq!((store.meta("first").unwrap(), store.meta("none").unwrap()), (Some("ü".to_owned()), None));
        store.remove_monitor(&removal(shop.id, at(2))).unwrap();
        assert!(matches!(store.remove_monitor(&removal(shop.id, at(3))), Err(StoreError::NotFound)));
        store.insert_monitor(&definition("store")).unwrap();
    });
}

#[test]
fn names_and_tags_may_be_any_text() {
    on_every_backend(|bed| {
        let names = ["größer", "監視", "🌌", "a'b\"c\\d", "tab\there", "$where", "a.b", "%"];
        let store = bed.open(START);
        let mut all = Vec::new();
        for name in names {
            let mut one = definition(name);
            one.spec.tags.insert(name.to_owned(), name.to_owned());
            store.insert_monitor(&one).unwrap();
            all.push(one);
        }
        drop(store);
        let store = bed.open(at(1));
        let found = store.monitors().unwrap();
        assert_eq!(found.len(), names.len());
        assert!(all.iter().all(|one| found.contains(one)));
    });
}

#[test]
fn writers_do_not_lose_what_others_write() {
    on_every_backend(|bed| {
        let store = bed.open(START);
        let watched = added(&*store, "watched");
        let contested = definition("contested");
        store.insert_monitor(&contested).unwrap();
        let barrier = Barrier::new(5);
        let wins: usize = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let (store, barrier, contested) = (&store, &barrier, &contested);
                    scope.spawn(move || {
                        barrier.wait();
                        for number in 0..20 {
                            store.insert_monitor(&definition(&format!("{writer}-{number}"))).unwrap();
                        }
                        let mut mine = contested.clone();
                        mine.version = 2;
                        usize::from(store.update_monitor(&mine, 1).is_ok())
                    })
                })
                .collect();
            let history = scope.spawn(|| {
                barrier.wait();
                for second in 0..100 {
                    store.append(&[total(watched, at(second), 0.1)]).unwrap();
                    store.maintain(at(second)).unwrap();
                }
            });
            history.join().unwrap();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert_eq!(wins, 1, "of four changes of the same version one is made");
        assert_eq!(store.monitors().unwrap().len(), 82);
    });
}
