//! What is behind the header of an answer: tables, devices below, lists of devices. Taken from bytes as they are, whatever they are.

use super::request::{text, u32_at, u64_at};

/// struct `dm_target_spec`: start, length (u64), status, next (u32), type[16].
pub(super) const SPEC: usize = 40;
/// struct `dm_name_list`: dev (u64), next (u32), and then the name.
const NAME: usize = 12;
/// The word behind the number of events says that a UUID follows, or that there is none. Linux before 5.13 says neither.
const HAS_UUID: u32 = 1;
const HAS_NO_UUID: u32 = 2;

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetLine {
    /// Where it begins on the device, in sectors of 512 bytes.
    pub start: u64,
    /// How long it is, in sectors of 512 bytes.
    pub length: u64,
    /// `linear`, `error` and so on.
    pub kind: String,
    /// The rest.
    pub params: String,
}

/// What a list says about a device's UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// This is it.
    Uuid(String),
    /// It has none.
    None,
    /// Nothing: an old kernel.
    Nothing,
}

/// A device in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without `/dev/mapper/`.
    pub name: String,
    /// Its UUID.
    pub uuid: Said,
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// How many events it had; 0 where the kernel does not say.
    pub event_nr: u32,
}

/// A chain of specifications, each with its parameters behind it and the offset of the next from the beginning of the first.
#[must_use]
pub fn lines(payload: &[u8], count: u32) -> Option<Vec<TargetLine>> {
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let spec = payload.get(at..)?;
        let next = usize::try_from(u32_at(spec, 20)?).ok()?;
        let params = text(payload.get(at + SPEC..next)?);
        let kind = text(spec.get(24..SPEC)?);
        found.push(TargetLine { start: u64_at(spec, 0)?, length: u64_at(spec, 8)?, kind, params });
        at = next;
    }
    Some(found)
}

/// struct `dm_target_deps`: count, padding (u32), devices (u64).
#[must_use]
pub fn deps(payload: &[u8]) -> Option<Vec<(u32, u32)>> {
    let count = usize::try_from(u32_at(payload, 0)?).ok()?;
    let dev = |n: usize| u64_at(payload, n.checked_mul(8)?.checked_add(8)?).map(|dev| (libc::major(dev), libc::minor(dev)));
    (0..count).map(dev).collect()
}

/// A chain of devices, each with the offset of the next from its own beginning. Behind the name, at the next multiple of 8, are the
/// number of events and a word about the UUID, and behind that the UUID (`list_devices`, drivers/md/dm-ioctl.c).
#[must_use]
pub fn list(payload: &[u8]) -> Option<Vec<Entry>> {
    let mut found = Vec::new();
    let mut rest = payload;
    // A list without devices is one without a number.
    while u64_at(rest, 0)? != 0 {
        let next = usize::try_from(u32_at(rest, 8)?).ok()?;
        // Before Linux 4.13 the next device is where the number of events would be.
        let record = if next == 0 { rest } else { rest.get(..next)? };
        found.push(entry(record)?);
        if next == 0 {
            return Some(found);
        }
        rest = rest.get(next..)?;
    }
    found.is_empty().then_some(found)
}

fn entry(record: &[u8]) -> Option<Entry> {
    let dev = u64_at(record, 0)?;
    let name = record.get(NAME..)?;
    let end = NAME + name.iter().position(|b| *b == 0)?;
    let events = (end + 1).next_multiple_of(8);
    let (event_nr, word) = if record.len() <= events { (0, 0) } else { (u32_at(record, events)?, u32_at(record, events + 4)?) };
    let uuid = match word {
        HAS_UUID => Said::Uuid(record.get(events + 8..).filter(|uuid| uuid.contains(&0)).map(text)?),
        HAS_NO_UUID => Said::None,
        _ => Said::Nothing,
    };
    Some(Entry { name: text(name), uuid, major: libc::major(dev), minor: libc::minor(dev), event_nr })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel lays a table out.
    fn table(of: &[(u64, u64, &str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (start, length, kind, params) in of {
            let mut spec = vec![0; SPEC];
            spec.splice(0..8, start.to_ne_bytes());
            spec.splice(8..16, length.to_ne_bytes());
            spec.splice(24..24 + kind.len(), kind.bytes());
            spec.extend(params.bytes());
            spec.push(0);
            spec.resize(spec.len().next_multiple_of(8), 0);
            let next = u32::try_from(bytes.len() + spec.len()).unwrap();
            spec.splice(20..24, next.to_ne_bytes());
            bytes.extend(spec);
        }
        bytes
    }

    #[test]
    fn a_table_of_several_targets_is_read_line_by_line() {
        let bytes = table(&[(0, 8192, "linear", "8:16 2048"), (8192, 2048, "error", "")]);
        let line =
            |start, length, kind: &str, params: &str| TargetLine { start, length, kind: kind.into(), params: params.into() };
        let expected = [line(0, 8192, "linear", "8:16 2048"), line(8192, 2048, "error", "")];
        assert_eq!(lines(&bytes, 2).unwrap(), expected);
        assert_eq!(lines(&[], 0).unwrap(), []);
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_table_and_no_devices_below() {
        let bytes = table(&[(0, 8192, "linear", "8:16 2048")]);
        for end in 0..bytes.len() {
            assert_eq!(lines(&bytes[..end], 1), None, "{end}");
        }
        let mut devices = Vec::from(2u64.to_ne_bytes());
        devices.extend(libc::makedev(8, 16).to_ne_bytes());
        assert_eq!(deps(&devices), None);
        devices.extend(libc::makedev(253, 1).to_ne_bytes());
        assert_eq!(deps(&devices), Some(vec![(8, 16), (253, 1)]));
        assert_eq!(deps(&[]), None);
    }

    /// As the kernel lays a list out, or as one before 5.13 does: without UUIDs; or before 4.13: without events.
    fn listed(of: &[(u32, &str, Option<u32>, Said)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (n, (minor, name, events, uuid)) in of.iter().enumerate() {
            let mut record = Vec::from(libc::makedev(253, *minor).to_ne_bytes());
            record.extend(0u32.to_ne_bytes());
            record.extend(name.bytes());
            record.resize((record.len() + 1).next_multiple_of(8), 0);
            if let Some(events) = events {
                record.extend(events.to_ne_bytes());
                let word = match uuid {
                    Said::Uuid(_) => 1u32,
                    Said::None => 2,
                    Said::Nothing => 0,
                };
                record.extend(word.to_ne_bytes());
            }
            if let Said::Uuid(uuid) = uuid {
                record.extend(uuid.bytes());
                record.resize((record.len() + 1).next_multiple_of(8), 0);
            }
            if n + 1 < of.len() {
                let next = u32::try_from(record.len()).unwrap();
                record.splice(8..12, next.to_ne_bytes());
            }
            bytes.extend(record);
        }
        bytes
    }

    fn entry_of((minor, name, events, uuid): &(u32, &str, Option<u32>, Said)) -> Entry {
        let event_nr = events.unwrap_or_default();
        Entry { name: (*name).into(), uuid: uuid.clone(), major: 253, minor: *minor, event_nr }
    }

    #[test]
    fn a_list_says_of_each_device_whether_it_has_a_uuid() {
        let devices = [
            (0, "vg1-lv1", Some(3), Said::Uuid("LVM-x".into())),
            (1, "plain", Some(0), Said::None),
            (300, "vg1-lv--22", Some(7), Said::Uuid("LVM-12345678".into())),
        ];
        let (bytes, expected) = (listed(&devices), devices.each_ref().map(entry_of));
        assert_eq!(list(&bytes).unwrap(), expected);
        assert_eq!(list(&[0; 8]).unwrap(), []);
        for end in 0..bytes.len() {
            let Some(cut) = list(&bytes[..end]) else { continue };
            // Up to its name the last one could be an old kernel's; the zeroes that fill up its UUID may be missing.
            let (last, before) = cut.split_last().unwrap();
            assert_eq!(before, &expected[..2], "{end}");
            assert!(*last == expected[2] || (last.uuid == Said::Nothing && last.event_nr == 0), "{end}: {last:?}");
        }
    }

    #[test]
    fn an_old_kernel_does_not_say_which_uuids_there_are() {
        let old = [(1, "vg1-lv1", Some(5), Said::Nothing), (2, "vg1-lv22", Some(0), Said::Nothing)];
        assert_eq!(list(&listed(&old)).unwrap(), old.each_ref().map(entry_of));
        let older = [(1, "vg1-lv1", None, Said::Nothing), (2, "vg1-lv22", None, Said::Nothing)];
        assert_eq!(list(&listed(&older)).unwrap(), older.each_ref().map(entry_of));
    }

    #[test]
    fn a_chain_that_goes_in_a_circle_or_past_the_end_is_no_list() {
        let mut bytes = listed(&[(0, "a", Some(0), Said::None), (1, "b", Some(0), Said::None)]);
        for next in [1u32, 4, 12, 1 << 20, u32::MAX] {
            bytes.splice(8..12, next.to_ne_bytes());
            assert_eq!(list(&bytes), None, "{next}");
        }
    }
}
