//! Copies of a whole store in one file, made while a server runs, and put back.
//!
//! A backup is a tar archive: the files of the store as SQLite sees them at that moment, and at the end `manifest.json`
//! with the size and the SHA-256 of each. Definitions come last but one: what history refers to is then always there.
//! The key that seals secrets is not in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::MAIN;
use super::files::{State, days_in, rollups_in};
use super::folder_lock::FolderLock;
use super::open::{Access, check, open};
use crate::error::StoreError;

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const CHUNK: usize = 256 * 1024;

/// How far a long work has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that is worked on.
    pub file: &'a str,
    /// Files that are done.
    pub done: usize,
    /// Files in all; 0 where that is not known.
    pub all: usize,
    /// Bytes so far.
    pub bytes: u64,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// Version of the program that made it.
    version: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

fn must_be_a_store(folder: &Path) -> Result<(), StoreError> {
    if folder.join(MAIN).is_file() {
        return Ok(());
    }
    let reason = "there is no store in this folder: look at storage.url".to_owned();
    Err(StoreError::Other { path: folder.to_owned(), reason })
}

/// The files of a store by their names in an archive, history first.
fn names(folder: &Path) -> Result<Vec<(String, bool)>, StoreError> {
    let mut found = Vec::new();
    let has = |name: &str| folder.join(name).is_dir();
    if has("history") {
        for (day, states) in days_in(&folder.join("history"))? {
            for state in states {
                let path = super::files::day_file(Path::new("history"), day, state);
                found.push((path.display().to_string(), state == State::Sealed));
            }
        }
    }
    if has("rollup") {
        for file in rollups_in(&folder.join("rollup"))? {
            let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            found.push((format!("rollup/{name}"), false));
        }
    }
    found.push((MAIN.to_owned(), false));
    Ok(found)
}

/// Copies the store of a folder into a new file. A server may run on the folder meanwhile.
///
/// # Errors
/// There is no store, the file is there already, or something cannot be read or written. No file is left behind.
pub fn backup(
    folder: &Path,
    to: &Path,
    version: &str,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Copied, StoreError> {
    must_be_a_store(folder)?;
    if to.exists() {
        let reason = "the file is there already; name a new one".to_owned();
        return Err(StoreError::Other { path: to.to_owned(), reason });
    }
    let partial = PathBuf::from(format!("{}.partial", to.display()));
    let made = write_archive(folder, &partial, version, &mut progress).and_then(|copied| {
        std::fs::rename(&partial, to).map_err(|error| StoreError::io(to, &error))?;
        Ok(copied)
    });
    if made.is_err() {
        super::compact::remove(&partial)?;
    }
    made
}

fn write_archive(
    folder: &Path,
    partial: &Path,
    version: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Copied, StoreError> {
    let wrap = |error: io::Error| StoreError::io(partial, &error);
    let mut archive = tar::Builder::new(File::create(partial).map_err(wrap)?);
    let mut manifest = Manifest { format: FORMAT, version: version.to_owned(), files: BTreeMap::new() };
    let mut copied = Copied::default();
    let mut waiting = names(folder)?;
    // Files change their names at the end of a day: what has gone meanwhile is looked for again under its new one.
    let mut looks = 0;
    while let Some((name, is_sealed)) = next(&mut waiting, &manifest) {
        let all = manifest.files.len() + waiting.len() + 1;
        progress(Progress { file: &name, done: copied.files, all, bytes: copied.bytes });
        let source = folder.join(&name);
        let snapshot = PathBuf::from(format!("{}.snapshot", partial.display()));
        super::compact::remove(&snapshot)?;
        // A sealed file never changes under its name; of the others SQLite makes a copy that is whole.
        let read = if is_sealed { source.clone() } else { snapshot.clone() };
        let made = if is_sealed { Ok(()) } else { take_snapshot(&source, &snapshot) };
        let added = made.and_then(|()| add(&mut archive, &name, &read, &wrap));
        super::compact::remove(&snapshot)?;
        match added {
            Ok(entry) => {
                copied.files += 1;
                copied.bytes += entry.bytes;
                manifest.files.insert(name, entry);
            }
            Err(_) if name != MAIN && !source.exists() && looks < MOST_LOOKS => {
                looks += 1;
                waiting = self::names(folder)?;
            }
            Err(error) => return Err(error),
        }
    }
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| StoreError::Other { path: partial.to_owned(), reason: error.to_string() })?;
    append(&mut archive, MANIFEST, text.len() as u64, text.as_slice()).map_err(wrap)?;
    let file = archive.into_inner().map_err(wrap)?;
    file.sync_all().map_err(wrap)?;
    Ok(copied)
}

/// Times that the folder is looked through again at most.
const MOST_LOOKS: u32 = 100;

/// The next file that is not in the archive yet. The main file comes last: what history refers to is then always there.
fn next(waiting: &mut Vec<(String, bool)>, manifest: &Manifest) -> Option<(String, bool)> {
    waiting.retain(|(name, _)| !manifest.files.contains_key(name));
    (!waiting.is_empty()).then(|| waiting.remove(0))
}

fn take_snapshot(source: &Path, snapshot: &Path) -> Result<(), StoreError> {
    let connection = open(source, Access::Read)?;
    connection
        .execute("VACUUM INTO ?1", [snapshot.display().to_string()])
        .map(|_| ())
        .map_err(|error| StoreError::sqlite(source, &error))
}

fn add(
    archive: &mut tar::Builder<File>,
    name: &str,
    path: &Path,
    wrap: &impl Fn(io::Error) -> StoreError,
) -> Result<Entry, StoreError> {
    let file = File::open(path).map_err(|error| StoreError::io(path, &error))?;
    let bytes = file.metadata().map_err(|error| StoreError::io(path, &error))?.len();
    let mut hashing = Hashing { inner: file.take(bytes), hash: Sha256::new() };
    append(archive, name, bytes, &mut hashing).map_err(wrap)?;
    Ok(Entry { bytes, sha256: hex(&hashing.hash.finalize()) })
}

fn append(archive: &mut tar::Builder<File>, name: &str, bytes: u64, from: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_cksum();
    archive.append_data(&mut header, name, from)
}

struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a backup back into a folder that has no store.
///
/// # Errors
/// The folder has a store, or the backup is damaged, cut off, or of a newer version. Nothing is changed then.
pub fn restore(
    from: &Path,
    folder: &Path,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Copied, StoreError> {
    // A name that is misspelt must not leave an empty folder behind.
    let archive = File::open(from).map_err(|error| StoreError::io(from, &error))?;
    std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, &error))?;
    let _lock = FolderLock::take(folder)?;
    // The log of a main file that has gone would be taken for that of the one that comes.
    let log = format!("{MAIN}-wal");
    for taken in [MAIN, &log, "history", "rollup"] {
        let path = folder.join(taken);
        let is_empty = std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
        if path.exists() && !is_empty {
            let reason = "is there already: restore into another folder, or move it away first".to_owned();
            return Err(StoreError::Other { path, reason });
        }
    }
    let stage = folder.join("restoring");
    if stage.exists() {
        std::fs::remove_dir_all(&stage).map_err(|error| StoreError::io(&stage, &error))?;
    }
    let outcome = unpack(archive, from, &stage, &mut progress).and_then(|copied| {
        for name in ["history", "rollup", MAIN] {
            let (from, to) = (stage.join(name), folder.join(name));
            if from.exists() {
                // An empty folder gives way to one with files.
                std::fs::rename(&from, &to).map_err(|error| StoreError::io(&to, &error))?;
            }
        }
        Ok(copied)
    });
    std::fs::remove_dir_all(&stage).ok();
    outcome
}

fn unpack(
    archive: File,
    from: &Path,
    stage: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Copied, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: from.to_owned(), reason };
    let unreadable = |error: io::Error| damaged(error.to_string());
    let mut archive = tar::Archive::new(archive);
    let mut found = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    let mut copied = Copied::default();
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = entry.path().map_err(unreadable)?.display().to_string();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(damaged(format!("`{name}` is no ordinary file, as all of a backup are")));
        }
        if name == MANIFEST {
            let mut text = String::new();
            entry.by_ref().take(1 << 24).read_to_string(&mut text).map_err(unreadable)?;
            manifest = Some(serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?);
            continue;
        }
        // Names come from a file that anybody may have made: none may lead out of the folder.
        let is_ours = name == MAIN
            || name.split_once('/').is_some_and(|(folder, file)| {
                matches!(folder, "history" | "rollup")
                    && file.ends_with(".sqlite3")
                    && file.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
            });
        if !is_ours {
            return Err(damaged(format!("it has a file `{name}`, which no backup has")));
        }
        progress(Progress { file: &name, done: copied.files, all: 0, bytes: copied.bytes });
        let target = stage.join(&name);
        let entry = write_out(&mut entry, &target).map_err(|error| match error {
            Out::Read(error) => unreadable(error),
            Out::Write(error) => StoreError::io(&target, &error),
        })?;
        copied.files += 1;
        copied.bytes += entry.bytes;
        found.insert(name, entry);
    }
    let manifest =
        manifest.ok_or_else(|| damaged("it ends before its list of files: it was cut off".to_owned()))?;
    if manifest.format > FORMAT {
        let (found, known) = (i64::from(manifest.format), i64::from(FORMAT));
        return Err(StoreError::TooNew { path: from.to_owned(), found, known });
    }
    if manifest.files != found {
        let wrong: Vec<&str> = manifest
            .files
            .iter()
            .filter(|(name, entry)| found.get(*name) != Some(*entry))
            .map(|(name, _)| name.as_str())
            .collect();
        return Err(damaged(format!("these files are not what they were: {}", wrong.join(", "))));
    }
    if !found.contains_key(MAIN) {
        return Err(damaged("it has no definitions".to_owned()));
    }
    Ok(copied)
}

enum Out {
    Read(io::Error),
    Write(io::Error),
}

fn write_out(from: &mut impl Read, target: &Path) -> Result<Entry, Out> {
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(Out::Write)?;
    }
    let mut file = File::create(target).map_err(Out::Write)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = from.read(&mut buffer).map_err(Out::Read)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
        file.write_all(&buffer[..read]).map_err(Out::Write)?;
    }
    file.sync_all().map_err(Out::Write)?;
    Ok(Entry { bytes, sha256: hex(&hash.finalize()) })
}

/// Reads every file of a store, its structure and every chunk. Answers what is wrong with which.
///
/// # Errors
/// There is no store, or the folder cannot be listed.
pub fn check_store(
    folder: &Path,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Vec<(PathBuf, String)>, StoreError> {
    must_be_a_store(folder)?;
    let names = names(folder)?;
    let (mut wrong, mut bytes) = (Vec::new(), 0);
    for (done, (name, _)) in names.iter().enumerate() {
        let path = folder.join(name);
        progress(Progress { file: name, done, all: names.len(), bytes });
        bytes += std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if let Err(error) = check_file(&path, name) {
            // One that was compacted or removed meanwhile is no damage.
            if path.exists() {
                wrong.push((path, error.to_string()));
            }
        }
    }
    Ok(wrong)
}

fn check_file(path: &Path, name: &str) -> Result<(), StoreError> {
    let connection = open(path, Access::Read)?;
    check(&connection, path)?;
    let wrap = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let damaged = |reason| StoreError::Damaged { path: path.to_owned(), reason };
    if name == MAIN {
        return Ok(());
    }
    let is_history = name.starts_with("history/");
    let mut statement = connection.prepare("SELECT data FROM chunk").map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    while let Some(row) = rows.next().map_err(wrap)? {
        let blob = row.get_ref(0).and_then(|value| Ok(value.as_blob()?)).map_err(wrap)?;
        if is_history {
            crate::columns::chunk::decode(blob).map_err(damaged)?;
        } else {
            super::rollup_chunk::verify(blob).map_err(damaged)?;
        }
    }
    Ok(())
}
