//! Backups: whole, or refused.

use super::*;

#[test]
fn a_backup_made_while_the_store_is_open_comes_back_whole() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(&options(folder.path()), START).unwrap();
    let shop = definition("shop");
    store.insert_monitor(&shop).unwrap();
    fill(&store, shop.id, 2);
    store.compact_all(START.plus(Duration::from_secs(86_400 + 300))).unwrap();
    let file = out.path().join("backup.tar");
    let mut seen = Vec::new();
    let copied =
        backup(folder.path(), &file, "1.2.3", |progress| seen.push(progress.file.to_owned())).unwrap();
    assert_eq!((copied.files, seen.len()), (6, 6), "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some(MAIN));
    let again = backup(folder.path(), &file, "1.2.3", |_| {}).unwrap_err();
    assert!(again.to_string().contains("there already"), "{again}");
    let target = out.path().join("data");
    assert_eq!(restore(&file, &target, |_| {}).unwrap(), copied);
    let back = SqliteStore::open(&options(&target), START.plus(Duration::from_secs(2 * 86_400))).unwrap();
    assert_eq!(back.monitors().unwrap(), store.monitors().unwrap());
    assert_eq!(all_results(&back, shop.id), all_results(&store, shop.id));
    assert_eq!(check_store(&target, |_| {}).unwrap(), []);
    drop(back);
    let taken = restore(&file, &target, |_| {}).unwrap_err();
    assert!(taken.to_string().contains("there already"), "{taken}");
    // Cut off, changed, or made up: refused, and the folder stays empty.
    let whole = std::fs::read(&file).unwrap();
    let empty = out.path().join("empty");
    for (name, bytes) in [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("flipped", {
            let mut bytes = whole.clone();
            bytes[whole.len() / 3] ^= 1;
            bytes
        }),
    ] {
        let bad = out.path().join(name);
        std::fs::write(&bad, bytes).unwrap();
        let error = restore(&bad, &empty, |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error}");
        assert!(!empty.join(MAIN).exists() && !empty.join("restoring").exists());
    }
    let mut evil = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.as_mut_bytes()[..11].copy_from_slice(b"../evil.txt");
    header.set_cksum();
    evil.append(&header, &b"evil"[..]).unwrap();
    std::fs::write(out.path().join("evil"), evil.into_inner().unwrap()).unwrap();
    let error = restore(&out.path().join("evil"), &empty, |_| {}).unwrap_err();
    assert!(error.to_string().contains("evil.txt") && !out.path().join("evil.txt").exists(), "{error}");
}

#[test]
fn a_store_is_not_restored_beside_the_log_of_another() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(SqliteStore::open(&options(folder.path()), START).unwrap());
    let file = out.path().join("backup.tar");
    backup(folder.path(), &file, "1", |_| {}).unwrap();
    let target = out.path().join("data");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join(format!("{MAIN}-wal")), b"left by kill -9").unwrap();
    let error = restore(&file, &target, |_| {}).unwrap_err();
    assert!(error.to_string().contains("wise.sqlite3-wal"), "{error}");
}

#[test]
fn what_is_not_there_is_said_and_nothing_is_made() {
    let out = tempfile::tempdir().unwrap();
    let (empty, target) = (out.path().join("empty"), out.path().join("data"));
    for error in [check_store(&empty, |_| {}).unwrap_err(), backup(&empty, &target, "1", |_| {}).unwrap_err()]
    {
        assert!(error.to_string().contains("no store"), "{error}");
    }
    let error = restore(&out.path().join("missing.tar"), &target, |_| {}).unwrap_err();
    assert!(error.to_string().contains("missing.tar"), "{error}");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "a slip of the keyboard leaves no folder");
}
