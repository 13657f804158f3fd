//! From filesystems and their answers to readings.

use std::collections::HashSet;

use serde_json::{Value, json};
use wise_core::label::distinguish;
use wise_core::{Absent, GrowthTracker, Labels, Past, Report, Timestamp};

use crate::machine::{Answer, Mount, Space};
use crate::metrics::storage as metrics;
use crate::target::Mounts;

/// Filesystems looked at.
const MAX_MOUNTS: usize = 64;
/// Lines of evidence.
const SHOWN: usize = 20;
/// Forecast and share used of each step of the state "filling".
const FILLING: [(f64, f64, f64); 2] = [(2.0, 1.0, 0.85), (1.0, 7.0, 0.7)];

/// The mounts that are watched, each filesystem once, and how many are left out for there being too many.
pub(crate) fn select(mounts: impl IntoIterator<Item = Mount>, wanted: &Mounts) -> (Vec<Mount>, usize) {
    let mut chosen: Vec<Mount> = Vec::new();
    for mount in mounts {
        if !wanted.allows(&mount) {
            continue;
        }
        // A filesystem may be mounted at several places: the shortest stands for it. An exporter tells no numbers, and
        // the device of every filesystem in user space is the same.
        let is_same = |known: &Mount| match mount.number.is_empty() {
            true => {
                known.device == mount.device
                    && known.kind == mount.kind
                    && mount.device.starts_with('/')
                    && mount.device != "/dev/fuse"
            }
            false => known.number == mount.number,
        };
        match chosen.iter_mut().find(|known| is_same(known)) {
            Some(known) if mount.point.len() < known.point.len() => *known = mount,
            Some(_) => {}
            None => chosen.push(mount),
        }
    }
    let left_out = chosen.len().saturating_sub(MAX_MOUNTS);
    chosen.truncate(MAX_MOUNTS);
    (chosen, left_out)
}

/// The labels of filesystems. An exporter lists one that is mounted over another beside it, at the same mount point.
fn labels(mounts: &[&Mount]) -> Vec<Labels> {
    let points = mounts.iter().map(|mount| Labels::one("mount", mount.point.as_str())).collect();
    let labels = distinguish(points, mounts, |labels, mount| labels.with("device", mount.device.as_str()));
    distinguish(labels, mounts, |labels, mount| labels.with("type", mount.kind.as_str()))
}

/// What is remembered of filesystems from check to check.
#[derive(Debug)]
pub(crate) struct Storage {
    growth: GrowthTracker,
    /// Those that could be written to once.
    writable: HashSet<Labels>,
}

impl Storage {
    pub(crate) fn new(past: Option<Past>) -> Self {
        let growth = GrowthTracker::new(&metrics::USED, &metrics::GROWTH, Some(&metrics::FULL_IN), past);
        Self { growth, writable: HashSet::new() }
    }

    /// The readings, and what is worth writing down.
    pub(crate) async fn read(
        &mut self,
        now: Timestamp,
        filesystems: &[(Mount, Answer)],
        left_out: usize,
        report: &mut Report,
    ) -> Vec<Value> {
        let mut shown = Vec::new();
        let all = labels(&filesystems.iter().map(|(mount, _)| mount).collect::<Vec<_>>());
        for ((mount, answer), labels) in filesystems.iter().zip(&all) {
            let was_writable = if mount.read_only {
                self.writable.contains(labels)
            } else {
                self.writable.insert(labels.clone());
                true
            };
            let state = |yes: bool| f64::from(u8::from(yes));
            report.push_labelled(&metrics::READ_ONLY, labels, state(mount.read_only));
            report.push_labelled(&metrics::TURNED_READ_ONLY, labels, state(mount.read_only && was_writable));
            report.push_labelled(&metrics::STALE, labels, state(*answer == Answer::Stale));
            let mut line = json!({"mount": mount.point, "device": mount.device, "type": mount.kind, "read_only": mount.read_only});
            let mut share = 2.0;
            match answer {
                Answer::Space(space) => {
                    share = used_ratio(space);
                    line["used_ratio"] = json!(share);
                    line["available_bytes"] = json!(space.available);
                    self.space(now, labels, space, was_writable, report).await;
                }
                Answer::Stale => line["error"] = json!("stale: no answer from statvfs"),
                Answer::Refused(why) => {
                    report.push_absent(&metrics::USED_RATIO, labels, Absent::NotKnown);
                    line["error"] = json!(why);
                }
            }
            shown.push((share, line));
        }
        report.push(&metrics::LEFT_OUT, left_out as f64);
        self.writable.retain(|labels| all.contains(labels));
        self.growth.retain(|labels| all.contains(labels));
        shown.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        shown.into_iter().take(SHOWN).map(|(_, line)| line).collect()
    }

    async fn space(
        &mut self,
        now: Timestamp,
        labels: &Labels,
        space: &Space,
        was_writable: bool,
        report: &mut Report,
    ) {
        if space.size <= 0.0 {
            return;
        }
        let used = (space.size - space.free).max(0.0);
        report.push_labelled(&metrics::SIZE, labels, space.size);
        report.push_labelled(&metrics::USED, labels, used);
        report.push_labelled(&metrics::AVAILABLE, labels, space.available);
        if space.inodes > 0.0 {
            report.push_labelled(&metrics::INODES, labels, space.inodes);
        }
        // An image such as that of an installation disk is always full.
        if !was_writable {
            return;
        }
        if space.inodes > 0.0 {
            let share = (space.inodes - space.free_inodes) / space.inodes;
            report.push_labelled(&metrics::INODES_RATIO, labels, share);
        }
        let share = used_ratio(space);
        report.push_labelled(&metrics::USED_RATIO, labels, share);
        let first = report.readings.len();
        self.growth.observe(now, labels, used, Some(used + space.available), report).await;
        let forecasts =
            report.readings[first..].iter().filter(|reading| reading.metric.name() == metrics::FULL_IN.name);
        let soonest = forecasts.filter_map(|reading| reading.value.number()).min_by(f64::total_cmp);
        if let Some(days) = soonest {
            let step = FILLING.iter().find(|(_, within, above)| days <= *within && share >= *above);
            report.push_labelled(&metrics::FILLING, labels, step.map_or(0.0, |(step, _, _)| *step));
        }
    }
}

/// As df has it: what root keeps for itself counts neither as used nor as available.
fn used_ratio(space: &Space) -> f64 {
    let used = (space.size - space.free).max(0.0);
    let all = used + space.available;
    if all > 0.0 { used / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Filesystems;

    fn mount(point: &str, kind: &str, number: &str) -> Mount {
        Mount {
            point: point.to_owned(),
            kind: kind.to_owned(),
            number: number.to_owned(),
            ..Mount::default()
        }
    }

    fn reading(report: &Report, metric: &str, at: &str) -> Option<f64> {
        let found = report.readings.iter().find(|reading| {
            reading.metric.name() == metric && reading.labels.pairs().iter().any(|(_, value)| value == at)
        });
        found?.value.number()
    }

    #[test]
    fn each_filesystem_is_chosen_once() {
        let wanted = crate::target::Mounts::new(&Filesystems::default());
        let mounts = [
            mount("/", "overlay", "0:5"),
            mount("/proc", "proc", "0:6"),
            mount("/var/lib/app/data", "ext4", "8:1"),
            mount("/data", "ext4", "8:1"),
            mount("/inner", "overlay", "0:7"),
            mount("/run/user/0", "tmpfs", "0:8"),
        ];
        let (chosen, left_out) = select(mounts, &wanted);
        let points: Vec<_> = chosen.iter().map(|mount| mount.point.as_str()).collect();
        assert_eq!((points, left_out), (vec!["/", "/data"], 0));
        let many = (0..100).map(|at| mount(&format!("/m{at}"), "ext4", &format!("9:{at}")));
        let (chosen, left_out) = select(many, &wanted);
        assert_eq!((chosen.len(), left_out), (64, 36));
    }

    #[tokio::test]
    async fn sizes_are_as_df_has_them_and_a_turn_to_read_only_is_seen() {
        let mut storage = Storage::new(None);
        let space = Space { size: 1000.0, free: 300.0, available: 200.0, inodes: 100.0, free_inodes: 5.0 };
        let mut data = mount("/data", "ext4", "8:1");
        let image = Mount { read_only: true, ..mount("/image", "ext4", "8:2") };
        for round in 0..2 {
            let mut report = Report::default();
            data.read_only = round == 1;
            let both = [(data.clone(), Answer::Space(space)), (image.clone(), Answer::Space(space))];
            let shown = storage.read(Timestamp::from_seconds(1000 + round), &both, 0, &mut report).await;
            assert_eq!(shown[0]["mount"], "/data");
            let at = |metric: &str, mount: &str| reading(&report, metric, mount);
            assert_eq!(at("server.filesystem.used_bytes", "/data"), Some(700.0));
            assert_eq!(at("server.filesystem.used_ratio", "/data"), Some(700.0 / 900.0));
            assert_eq!(at("server.filesystem.inodes_used_ratio", "/data"), Some(0.95));
            assert_eq!(at("server.filesystem.used_ratio", "/image"), None, "it can never fill up");
            assert_eq!(at("server.filesystem.inodes_used_ratio", "/image"), None, "nor run out of inodes");
            assert_eq!(at("server.filesystem.read_only_state", "/image"), Some(1.0));
            assert_eq!(at("server.filesystem.turned_read_only_state", "/image"), Some(0.0));
            assert_eq!(at("server.filesystem.turned_read_only_state", "/data"), Some(round as f64));
        }
    }

    #[test]
    fn filesystems_at_one_place_are_told_apart_by_device_and_type() {
        let at = |point: &str, device: &str, kind: &str| Mount {
            device: device.to_owned(),
            ..mount(point, kind, "")
        };
        let mounts = [
            at("/", "/dev/a", "ext4"),
            at("/d", "/dev/b", "ext4"),
            at("/d", "none", "tmpfs"),
            at("/d", "none", "nfs"),
        ];
        let place = |point: &str| Labels::one("mount", point);
        let none = place("/d").with("device", "none");
        assert_eq!(
            labels(&mounts.iter().collect::<Vec<_>>()),
            [
                place("/"),
                place("/d").with("device", "/dev/b"),
                none.with("type", "tmpfs"),
                none.with("type", "nfs")
            ]
        );
        // Two of user space are two, though an exporter gives both the same device.
        let wanted = crate::target::Mounts::new(&Filesystems::default());
        let two = [at("/one", "/dev/fuse", "fuse.rclone"), at("/two", "/dev/fuse", "fuse.rclone")];
        assert_eq!(select(two, &wanted).0.len(), 2);
    }

    #[tokio::test]
    async fn one_that_hangs_has_no_sizes() {
        let mut report = Report::default();
        let mut storage = Storage::new(None);
        storage
            .read(
                Timestamp::from_seconds(1),
                &[(mount("/nfs", "nfs4", "0:9"), Answer::Stale)],
                0,
                &mut report,
            )
            .await;
        assert_eq!(reading(&report, "server.filesystem.stale_state", "/nfs"), Some(1.0));
        assert_eq!(reading(&report, "server.filesystem.used_bytes", "/nfs"), None);
    }

    #[tokio::test]
    async fn filling_needs_a_forecast_and_a_level() {
        let mut storage = Storage::new(None);
        let mut last = Report::default();
        for at in 0..=288_i64 {
            last = Report::default();
            let used = 800.0 + at as f64 * 0.4;
            let space =
                Space { size: 1000.0, free: 1000.0 - used, available: 1000.0 - used, ..Space::default() };
            let now = Timestamp::from_seconds(1_700_000_000 + at * 300);
            storage.read(now, &[(mount("/d", "ext4", "8:1"), Answer::Space(space))], 0, &mut last).await;
        }
        let days = reading(&last, "server.filesystem.full_in_days", "/d").unwrap();
        assert!((0.6..0.9).contains(&days), "{days}");
        assert_eq!(reading(&last, "server.filesystem.filling_state", "/d"), Some(2.0));
    }
}
