//! The files of history: which days and rollups there are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wise_core::Timestamp;

use super::rollup_file::tier_and_end;
use crate::error::StoreError;
use crate::rollup::Tier;

const DAY_SECONDS: i64 = 86_400;

/// The state of a day's file, as its name has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum State {
    /// Whole, and as small as it gets.
    Sealed,
    /// Over, and not compacted yet.
    Closed,
    /// Written to.
    Open,
}

impl State {
    const ALL: [Self; 3] = [Self::Sealed, Self::Closed, Self::Open];

    fn suffix(self) -> &'static str {
        match self {
            Self::Sealed => ".sealed.sqlite3",
            Self::Closed => ".closed.sqlite3",
            Self::Open => ".sqlite3",
        }
    }
}

/// Which states of a day have a file, the oldest first.
pub(super) type DayStates = Vec<State>;

/// Whether a day is over, compacted and rolled up, and nothing has come since.
pub(super) fn is_complete(states: &DayStates) -> bool {
    states.as_slice() == [State::Sealed]
}

/// The day of a time, counted from 1970.
pub(super) fn day_of(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(DAY_SECONDS)
}

/// The file of a day.
pub(super) fn day_file(folder: &Path, day: i64, state: State) -> PathBuf {
    let date = Timestamp::from_seconds(day * DAY_SECONDS).to_string();
    folder.join(format!("{}{}", date.get(..10).unwrap_or(&date), state.suffix()))
}

/// The days that have files.
pub(super) fn days_in(folder: &Path) -> Result<BTreeMap<i64, DayStates>, StoreError> {
    let mut days: BTreeMap<i64, DayStates> = BTreeMap::new();
    for name in names_in(folder)? {
        let Some((date, rest)) = name.split_at_checked(10) else { continue };
        let state = State::ALL.into_iter().find(|state| state.suffix() == rest);
        let day = Timestamp::parse(&format!("{date}T00:00:00Z")).ok().map(day_of);
        if let (Some(state), Some(day)) = (state, day) {
            days.entry(day).or_default().push(state);
        }
    }
    days.values_mut().for_each(|states| states.sort_unstable());
    Ok(days)
}

/// A file of rollups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RollupPath {
    pub path: PathBuf,
    pub tier: Tier,
    /// The last day it can have.
    pub end: i64,
}

/// The files of rollups, by tier, the oldest first.
pub(super) fn rollups_in(folder: &Path) -> Result<Vec<RollupPath>, StoreError> {
    let mut found: Vec<RollupPath> = names_in(folder)?
        .into_iter()
        .filter_map(|name| {
            let path = folder.join(name);
            let (tier, end) = tier_and_end(&path)?;
            Some(RollupPath { path, tier, end })
        })
        .collect();
    found.sort_by_key(|file| (file.tier, file.end));
    Ok(found)
}

fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = std::fs::read_dir(folder).map_err(|error| StoreError::io(folder, &error))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// Bytes of a file and of what SQLite keeps beside it.
pub(super) fn size_of(path: &Path) -> u64 {
    let size = |suffix: &str| {
        std::fs::metadata(format!("{}{suffix}", path.display())).map_or(0, |metadata| metadata.len())
    };
    ["", "-wal", "-shm"].into_iter().map(size).sum()
}

/// Removes a file and what SQLite keeps beside it.
pub(super) fn unlink(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        super::compact::remove(Path::new(&format!("{}{suffix}", path.display())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "2026-11-20.sqlite3",
            "2026-11-20.sealed.sqlite3",
            "2026-11-19.closed.sqlite3",
            "2026-11-19.closed.sqlite3-wal",
            "2026-11-18.sqlite3.damaged",
            "2026-11-20.sealed.tmp",
            "notes.txt",
            "5m-2026-11.sqlite3",
            "5m-2026-12.sqlite3",
            "1h-2026.sqlite3",
            "9z-2026.sqlite3",
            "1d-x.sqlite3",
        ] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let days = days_in(folder.path()).unwrap();
        let (last, before) = (day_of(Timestamp::parse("2026-11-20T00:00:00Z").unwrap()), 1);
        assert_eq!(days.len(), 2);
        assert_eq!(days[&last], [State::Sealed, State::Open]);
        assert_eq!(days[&(last - before)], [State::Closed]);
        assert_eq!(day_file(Path::new("h"), last, State::Closed), Path::new("h/2026-11-20.closed.sqlite3"));
        let rollups = rollups_in(folder.path()).unwrap();
        let date = |text: &str| day_of(Timestamp::parse(&format!("{text}T00:00:00Z")).unwrap());
        let ends: Vec<_> = rollups.iter().map(|file| (file.tier.name(), file.end)).collect();
        let expected = [("5m", date("2026-11-30")), ("5m", date("2026-12-31")), ("1h", date("2026-12-31"))];
        assert_eq!(ends, expected);
    }
}
