//! No bytes make the readers of device-mapper's answers panic or find more than there is room for, whatever they are read as.
//!
//! The first byte says as what they are read. Text is what a device's name and UUID, or a target's kind and state, are between lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocf_san::kernel::dm::decode::{deps, lines, list};
use ocf_san::kernel::dm::health::{Health, trouble};
use ocf_san::kernel::dm::TargetLine;
use ocf_san::kernel::lvm::names::{Mapping, Uuid, VgName};

/// Bytes of the shortest specification of a target, of a device below, of a device in a list.
const SPEC: usize = 40;
const DEVICE: usize = 8;
const ENTRY: usize = 13;

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    match how % 5 {
        0 => {
            let found = list(bytes).unwrap_or_default();
            assert!(found.len() <= bytes.len() / ENTRY, "{} devices in {} bytes", found.len(), bytes.len());
        }
        1 => {
            let count = u32::from(how / 5) << (how % 3 * 12);
            let found = lines(bytes, count).unwrap_or_default();
            assert!(found.len() <= bytes.len() / SPEC, "{} lines in {} bytes", found.len(), bytes.len());
            found.iter().for_each(state);
        }
        2 => {
            let found = deps(bytes).unwrap_or_default();
            assert!(found.len() <= bytes.len() / DEVICE, "{} devices in {} bytes", found.len(), bytes.len());
        }
        3 => {
            let text = String::from_utf8_lossy(bytes);
            let (kind, params) = text.split_once('\n').unwrap_or((&text, ""));
            state(&TargetLine { start: 0, length: 8, kind: kind.to_owned(), params: params.to_owned() });
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let (name, uuid) = text.split_once('\n').unwrap_or((&text, ""));
            mapping(name, uuid);
        }
    }
});

fn state(line: &TargetLine) {
    let found = Health::of(line);
    for warn_percent in [0, 90, 100] {
        let trouble = trouble(line, warn_percent);
        assert!(trouble.is_none() || found.is_some(), "{line:?}: {trouble:?}");
        assert!(trouble.as_deref() != Some(""), "{line:?}: no words");
    }
}

fn mapping(name: &str, uuid: &str) {
    if let Some(mapping) = Mapping::of(name, uuid) {
        assert!(uuid.starts_with(&mapping.vg_uuid.dm_uuid(&mapping.lv_uuid)));
        assert!(mapping.lv.starts_with(mapping.base()));
        assert!(!mapping.is_top() || mapping.base() == mapping.lv, "{mapping:?}");
    }
    drop(Uuid::parse(uuid));
    if let (Ok(vg), Ok(lv)) = (VgName::parse(name), VgName::parse(uuid)) {
        let id = "0123456789abcdefghijklmnopqrstuv";
        let doubled = |name: &VgName| name.as_str().replace('-', "--");
        let found = Mapping::of(&format!("{}-{}", doubled(&vg), doubled(&lv)), &format!("LVM-{id}{id}"));
        assert_eq!(found.map(|mapping| (mapping.vg, mapping.lv)), Some((vg.to_string(), lv.to_string())));
    }
}
