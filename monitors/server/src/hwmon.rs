//! Temperatures, from /sys/class/hwmon. Everything here blocks.
//!
//! The library for the rest of the machine (sysinfo) takes two sensors with the same name for one, as two disks of one
//! model have them, so the files are read here. Chips are named as node_exporter does.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use wise_core::label;

use crate::machine::{MAX_PARTS, Temperature};

/// Longest text that a driver gives a sensor.
const MAX_TEXT: usize = 200;

/// A sensor as its chip has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sensor {
    pub chip: String,
    /// Such as `temp1`: the chip has no other of that name.
    pub id: String,
    /// What the driver says that it measures, such as `Core 0`; empty where it does not say.
    pub text: String,
    pub value: Option<f64>,
    pub critical: Option<f64>,
}

/// The sensors with a temperature. One is called by its driver's text where no other of its chip can be meant by that.
pub(crate) fn named(sensors: Vec<Sensor>) -> Vec<Temperature> {
    let mut uses: HashMap<(&str, &str), u32> = HashMap::new();
    for sensor in &sensors {
        *uses.entry((&sensor.chip, &sensor.id)).or_default() += 1;
        *uses.entry((&sensor.chip, &sensor.text)).or_default() += 1;
    }
    let named = sensors.iter().filter_map(|sensor| {
        let is_clear = !sensor.text.is_empty() && uses.get(&(&*sensor.chip, &*sensor.text)) == Some(&1);
        Some(Temperature {
            chip: sensor.chip.clone(),
            sensor: if is_clear { &sensor.text } else { &sensor.id }.clone(),
            value: sensor.value?,
            critical: sensor.critical.filter(|critical| *critical > 0.0),
        })
    });
    named.collect()
}

/// The temperatures of a machine. Where no chip has any, those of its thermal zones.
pub(crate) fn temperatures(sys: &str) -> Vec<Temperature> {
    let mut sensors = Vec::new();
    for (_, folder) in numbered(&format!("{sys}/class/hwmon"), "hwmon") {
        let chip = chip(&folder);
        // Older drivers have their files beside the device.
        let (own, device) = (of_chip(&folder, &chip), of_chip(&folder.join("device"), &chip));
        sensors.extend(if own.is_empty() { device } else { own });
    }
    if sensors.is_empty() {
        for (number, folder) in numbered(&format!("{sys}/class/thermal"), "thermal_zone") {
            let value = number_in(&folder.join("temp"));
            let id = text_in(&folder.join("type")).unwrap_or_default();
            let chip = format!("thermal_zone{number}");
            sensors.push(Sensor { chip, id, value, ..Sensor::default() });
        }
    }
    sensors.truncate(MAX_PARTS);
    named(sensors)
}

/// Folders such as `hwmon3`, by their numbers.
fn numbered(folder: &str, prefix: &str) -> Vec<(u32, std::path::PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .take(MAX_PARTS)
        .collect();
    found.sort_unstable();
    found
}

/// The device that a chip belongs to, as bus and device: chips get other numbers at each start.
fn chip(folder: &Path) -> String {
    let device = fs::canonicalize(folder.join("device")).unwrap_or_default();
    let part = |path: Option<&Path>| {
        path.and_then(Path::file_name).map(|name| clean(&name.to_string_lossy())).unwrap_or_default()
    };
    let (name, bus) = (part(Some(&device)), part(device.parent()));
    match (name.is_empty(), bus.is_empty()) {
        (false, false) => format!("{bus}_{name}"),
        (false, true) => name,
        _ => text_in(&folder.join("name")).map(|name| clean(&name)).unwrap_or_else(|| part(Some(folder))),
    }
}

/// As node_exporter writes names of chips.
fn clean(name: &str) -> String {
    let letter = |c: char| {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '_') { c } else { '_' }
    };
    name.chars().map(letter).collect::<String>().trim_matches('_').to_owned()
}

fn of_chip(folder: &Path, chip: &str) -> Vec<Sensor> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| {
            entry.file_name().to_str()?.strip_prefix("temp")?.strip_suffix("_input")?.parse().ok()
        })
        .take(MAX_PARTS)
        .collect();
    numbers.sort_unstable();
    let sensor = |number: u32| {
        let file = |what: &str| folder.join(format!("temp{number}_{what}"));
        Sensor {
            chip: chip.to_owned(),
            id: format!("temp{number}"),
            text: text_in(&file("label")).unwrap_or_default(),
            value: number_in(&file("input")),
            critical: number_in(&file("crit")),
        }
    };
    numbers.into_iter().map(sensor).collect()
}

fn text_in(file: &Path) -> Option<String> {
    let bytes = fs::read(file).ok()?;
    Some(label::fit(label::from_bytes(bytes.trim_ascii()).as_ref(), MAX_TEXT).into_owned())
}

/// Thousandths of a degree, in degrees.
fn number_in(file: &Path) -> Option<f64> {
    let text = text_in(file)?;
    text.parse::<i64>().ok().map(|thousandths| thousandths as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn link(folder: &Path, from: &str, to: &str) {
        fs::create_dir_all(folder.join(from).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(folder.join(to), folder.join(from)).unwrap();
    }

    fn shown(found: &[Temperature]) -> Vec<(&str, &str, f64)> {
        found.iter().map(|one| (one.chip.as_str(), one.sensor.as_str(), one.value)).collect()
    }

    #[test]
    fn two_disks_of_one_model_and_sensors_without_names_are_told_apart() {
        let sys = tempfile::tempdir().unwrap();
        let sys = sys.path();
        for (chip, disk, value) in [("hwmon0", "nvme0", "40850\n"), ("hwmon1", "nvme1", "81850\n")] {
            write(sys, &[(&format!("devices/pci0/nvme/{disk}/model"), "Same SSD\n")]);
            let file = |name: &str| format!("class/hwmon/{chip}/{name}");
            write(
                sys,
                &[
                    (&file("name"), "nvme\n"),
                    (&file("temp1_input"), value),
                    (&file("temp1_label"), "Composite\n"),
                ],
            );
            write(sys, &[(&file("temp1_crit"), "84850\n")]);
            link(sys, &file("device"), &format!("devices/pci0/nvme/{disk}"));
        }
        // Two cores that the driver calls the same, one that is called as another's id, and one without a name.
        write(sys, &[("devices/platform/coretemp.0/x", "")]);
        let core = |file: &str| format!("class/hwmon/hwmon2/{file}");
        link(sys, &core("device"), "devices/platform/coretemp.0");
        for (number, text) in [(1, "Core 0"), (2, "Core 0"), (3, "temp1"), (10, ""), (11, "Core 1")] {
            write(sys, &[(&core(&format!("temp{number}_input")), &format!("{number}000\n"))]);
            write(sys, &[(&core(&format!("temp{number}_label")), text)]);
        }
        write(sys, &[(&core("temp12_input"), "not now\n")]);
        let found = temperatures(sys.to_str().unwrap());
        assert_eq!(
            shown(&found),
            [
                ("nvme_nvme0", "Composite", 40.85),
                ("nvme_nvme1", "Composite", 81.85),
                ("platform_coretemp_0", "temp1", 1.0),
                ("platform_coretemp_0", "temp2", 2.0),
                ("platform_coretemp_0", "temp3", 3.0),
                ("platform_coretemp_0", "temp10", 10.0),
                ("platform_coretemp_0", "Core 1", 11.0),
            ]
        );
        assert_eq!((found[0].critical, found[2].critical), (Some(84.85), None));
    }

    #[test]
    fn zones_stand_in_where_there_are_no_chips() {
        let sys = tempfile::tempdir().unwrap();
        for (zone, value) in [("0", "27800\n"), ("1", "55000\n")] {
            let file = |name: &str| format!("class/thermal/thermal_zone{zone}/{name}");
            write(sys.path(), &[(&file("type"), "acpitz\n"), (&file("temp"), value)]);
        }
        let found = temperatures(sys.path().to_str().unwrap());
        assert_eq!(shown(&found), [("thermal_zone0", "acpitz", 27.8), ("thermal_zone1", "acpitz", 55.0)]);
        assert_eq!(temperatures("/no/such/folder"), []);
    }
}
