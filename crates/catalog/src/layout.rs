//! Where monitors stand on the galaxy map: the same place for life, for everybody who looks.
//!
//! A group is a circle, in which monitors stand in a spiral: number `n` at distance √(n + ½) and angle n · 137.5° (Vogel,
//! "A better way to construct the sunflower head", 1979). The number is kept with the definition; centres and radii of
//! groups are kept in the store. A place that becomes free is used again; a group that grows out of its circle moves
//! as a whole, and no other does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wise_core::MonitorDefinition;
use wise_overview::Group;

/// The tag that names a monitor's group.
const TAG: &str = "group";
/// Monitors that a circle has room for, at least.
const ROOM: u32 = 12;
/// Places in a group at most.
const MOST_SLOTS: u32 = 1_000_000;
/// Groups at most; monitors of more are with those that have none.
const MOST_GROUPS: usize = 500;
/// Room between two circles.
const GAP: f64 = 2.0;
/// The golden angle.
const ANGLE: f64 = 2.399_963_229_728_653;

/// The group that a definition asks for.
pub(crate) fn group_of(definition: &MonitorDefinition) -> &str {
    definition.spec.tags.get(TAG).map_or("", String::as_str)
}

/// The places that are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    groups: Vec<Group>,
    taken: Vec<Taken>,
    slots: BTreeMap<String, u32>,
    /// Where the last new group found its place: nothing nearer to the middle was free.
    last_place: u32,
    version: u64,
}

/// The places of a group that are taken.
#[derive(Clone, Debug, Default)]
struct Taken {
    slots: BTreeSet<u32>,
    /// No place before this one is free.
    free_from: u32,
}

impl Taken {
    /// Takes `wanted` if it is free, or the first that is.
    fn take(&mut self, wanted: Option<u32>) -> u32 {
        // A place beyond all bounds is no place.
        let is_free = |slot: &u32| !self.slots.contains(slot) && *slot < MOST_SLOTS;
        let slot = wanted.filter(is_free).unwrap_or_else(|| {
            let first = (self.free_from..).find(is_free).unwrap_or(u32::MAX);
            self.free_from = first;
            first
        });
        self.slots.insert(slot);
        slot
    }

    fn free(&mut self, slot: u32) {
        self.slots.remove(&slot);
        self.free_from = self.free_from.min(slot);
    }
}

/// A group as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredGroup {
    x: f64,
    y: f64,
    radius: f64,
}

/// What is stored of the map.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    groups: BTreeMap<String, StoredGroup>,
    /// Places of definitions from before they had one.
    slots: BTreeMap<String, u32>,
}

impl Layout {
    /// From what [`Layout::to_text`] gave.
    pub(crate) fn from_text(text: &str) -> Self {
        // Without it groups get other places, and nothing else is lost.
        let Stored { groups, slots } = serde_json::from_str(text).unwrap_or_default();
        let group = |(name, StoredGroup { x, y, radius })| Group { name, x, y, radius };
        let groups: Vec<Group> = groups.into_iter().map(group).collect();
        Self { taken: vec![Taken::default(); groups.len()], groups, slots, last_place: 0, version: 0 }
    }

    /// What is to be stored.
    pub(crate) fn to_text(&self) -> String {
        let used = self.groups.iter().zip(&self.taken).filter(|(_, taken)| !taken.slots.is_empty());
        let stored = |group: &Group| StoredGroup { x: group.x, y: group.y, radius: group.radius };
        let groups = used.map(|(group, _)| (group.name.clone(), stored(group))).collect();
        serde_json::to_string(&Stored { groups, slots: self.slots.clone() }).unwrap_or_default()
    }

    /// Takes places for all definitions, those that have one first. Those that have none in their definition keep the one
    /// that is stored here.
    pub(crate) fn take_all(&mut self, definitions: &mut [MonitorDefinition]) {
        for one in definitions.iter_mut().filter(|one| one.slot.is_some()) {
            one.slot = Some(self.take(group_of(one), one.slot));
        }
        let known = std::mem::take(&mut self.slots);
        let mut slots = BTreeMap::new();
        for is_known in [true, false] {
            for one in definitions.iter_mut().filter(|one| one.slot.is_none()) {
                let id = one.id.to_string();
                let wanted = known.get(&id).copied();
                if wanted.is_some() == is_known {
                    let slot = self.take(group_of(one), wanted);
                    one.slot = Some(slot);
                    slots.insert(id, slot);
                }
            }
        }
        self.slots = slots;
    }

    /// The groups, by number.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Goes up whenever a group is added or moves.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The number of a group that has been there once.
    pub(crate) fn number(&self, name: &str) -> u32 {
        self.place_of(name).unwrap_or(0) as u32
    }

    /// A group; for one that there was no room for, that of those without a group.
    fn place_of(&self, name: &str) -> Option<usize> {
        let find = |name: &str| self.groups.iter().position(|group| group.name == name);
        find(name).or_else(|| find(""))
    }

    /// Takes a place in a group: `wanted` if it is free, or the first that is.
    pub(crate) fn take(&mut self, name: &str, wanted: Option<u32>) -> u32 {
        // A circle for each of thousands would be no map.
        let is_known = self.groups.iter().any(|group| group.name == name);
        let name = if is_known || self.groups.len() < MOST_GROUPS { name } else { "" };
        let number = match self.groups.iter().position(|group| group.name == name) {
            Some(number) => number,
            None => {
                let radius = radius_for(0);
                let (x, y) = self.free_place(radius, None);
                self.groups.push(Group { name: name.to_owned(), x, y, radius });
                self.taken.push(Taken::default());
                self.version += 1;
                self.groups.len() - 1
            }
        };
        let slot = self.taken[number].take(wanted);
        let radius = radius_for(slot);
        if radius > self.groups[number].radius {
            let (x, y) = self.free_place(radius, Some(number));
            let group = &mut self.groups[number];
            (group.x, group.y, group.radius) = (x, y, radius);
            self.version += 1;
        }
        slot
    }

    /// Gives a place back.
    pub(crate) fn free(&mut self, name: &str, slot: Option<u32>) {
        if let (Some(number), Some(slot)) = (self.place_of(name), slot) {
            self.taken[number].free(slot);
        }
    }

    /// The place nearest to the middle where a circle touches no other; of a group that has one already, its own if it
    /// will do.
    fn free_place(&mut self, radius: f64, own: Option<usize>) -> (f64, f64) {
        let is_free = |(x, y): (f64, f64)| {
            let mut others = self.groups.iter().enumerate().filter(|(number, _)| Some(*number) != own);
            others.all(|(_, other)| {
                let (dx, dy) = (other.x - x, other.y - y);
                dx.hypot(dy) >= radius + other.radius + GAP
            })
        };
        if let Some(own) = own.and_then(|own| self.groups.get(own)).map(|own| (own.x, own.y))
            && is_free(own)
        {
            return own;
        }
        let step = (radius / 2.0).max(2.0);
        let place = |number: u32| {
            let (distance, angle) = (step * f64::from(number).sqrt(), f64::from(number) * ANGLE);
            // Two decimals are enough, and keep what is stored short.
            let round = |value: f64| (value * 100.0).round() / 100.0;
            (round(distance * angle.cos()), round(distance * angle.sin()))
        };
        // New groups are of one size, so that each needs to look only behind the one before.
        let from = if own.is_none() { self.last_place } else { 0 };
        let found = (from..).find(|number| is_free(place(*number))).unwrap_or(0);
        if own.is_none() {
            self.last_place = found;
        }
        place(found)
    }
}

/// The radius of a circle with this place, and room for as many more.
fn radius_for(slot: u32) -> f64 {
    let mut room = ROOM;
    while room <= slot && room < u32::MAX {
        room = room.saturating_mul(2);
    }
    (f64::from(room).sqrt() + 1.0).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(layout: &Layout) -> bool {
        let groups = layout.groups();
        groups.iter().enumerate().any(|(index, a)| {
            groups[index + 1..].iter().any(|b| (a.x - b.x).hypot(a.y - b.y) < a.radius + b.radius)
        })
    }

    #[test]
    fn places_stay_and_free_ones_are_used_again() {
        let mut layout = Layout::default();
        let slots: Vec<u32> = (0..5).map(|_| layout.take("shop", None)).collect();
        assert_eq!(slots, [0, 1, 2, 3, 4]);
        layout.free("shop", Some(2));
        layout.free("shop", None);
        assert_eq!(
            (layout.take("shop", None), layout.take("shop", Some(4)), layout.take("shop", Some(9))),
            (2, 5, 9)
        );
        assert_eq!((layout.number("shop"), layout.groups()[0].x), (0, 0.0));
        layout.free("shop", Some(0));
        let version = layout.version();
        assert_eq!((layout.take("shop", None), layout.take("shop", None), layout.version()), (0, 6, version));
        layout.take("other", None);
        assert_ne!(layout.version(), version);
    }

    #[test]
    fn groups_never_overlap_and_only_the_one_that_grows_moves() {
        let mut layout = Layout::default();
        for name in 0..60 {
            layout.take(&name.to_string(), None);
        }
        assert!(!overlap(&layout));
        let before = layout.groups().to_vec();
        for _ in 0..1000 {
            layout.take("7", None);
        }
        assert!(!overlap(&layout));
        let moved: Vec<&str> = layout
            .groups()
            .iter()
            .zip(&before)
            .filter(|(now, before)| now != before)
            .map(|(now, _)| now.name.as_str())
            .collect();
        assert_eq!(moved, ["7"]);
        let group = &layout.groups()[7];
        assert!(group.radius >= 1000_f64.sqrt() && group.radius < 60.0);
        let mut again = Layout::from_text(&layout.to_text());
        assert_eq!(again.groups().len(), 60);
        again.take("7", Some(500));
        assert_eq!(again.groups()[again.number("7") as usize], *group);
        assert!(Layout::from_text("no JSON").groups().is_empty());
        let mut many = Layout::default();
        for name in 0..2000 {
            many.take(&format!("host {name}"), None);
        }
        assert_eq!(many.groups().len(), MOST_GROUPS + 1);
        assert_eq!(many.groups()[many.number("host 1999") as usize].name, "");
        assert!(!overlap(&many) && many.take("host 1", Some(u32::MAX)) == 1);
    }
}
