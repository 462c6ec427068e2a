//! Which snapshot belongs to what: told by tags, which survive a reboot and a rename. Names are for people.

use std::collections::BTreeMap;

use crate::kernel::lvm::below::BEFORE_RESYNC;
use crate::kernel::lvm::names::VgName;

/// What a snapshot was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A resync was about to overwrite this side.
    BeforeResync,
    /// This side was about to be discarded after a split brain.
    Victim,
}

impl Kind {
    /// Its tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::BeforeResync => "drbd-before-resync",
            Self::Victim => "drbd-victim",
        }
    }

    fn infix(self) -> &'static str {
        match self {
            Self::BeforeResync => BEFORE_RESYNC,
            Self::Victim => "-victim-",
        }
    }
}

/// What the tags of a snapshot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What it was made for.
    pub kind: Kind,
    /// The resource.
    pub resource: String,
    /// The number of the volume.
    pub volume: u32,
    /// The id of its group, one of a resource's: the moment as [`stamp`] has it.
    pub group: String,
    /// All volumes of the group.
    pub volumes: Vec<u32>,
    /// When, in UTC: `2026-01-31T12:00:00Z`.
    pub time: String,
    /// The data generation that the volume had, `CURRENT:BITMAP:HISTORY:HISTORY`, where it was to be had.
    pub generation: Option<String>,
}

/// The characters of tags beside letters and digits (lvm(8)), without the `#` that quotes others here.
const PLAIN: &[u8] = b"_+.-/=!:&";

impl Label {
    /// As tags.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        let volumes: Vec<_> = self.volumes.iter().map(u32::to_string).collect();
        let mut tags = vec![
            self.kind.tag().to_owned(),
            format!("drbd-resource={}", quoted(&self.resource)),
            format!("drbd-volume={}", self.volume),
            format!("drbd-group={}", quoted(&self.group)),
            format!("drbd-volumes={}", volumes.join("+")),
            format!("drbd-time={}", quoted(&self.time)),
        ];
        tags.extend(self.generation.as_ref().map(|generation| format!("drbd-gi={}", quoted(generation))));
        tags
    }

    /// From tags; `None` when they are not ours.
    #[must_use]
    pub fn of(tags: &[String]) -> Option<Self> {
        let kind = [Kind::BeforeResync, Kind::Victim].into_iter().find(|kind| tags.iter().any(|tag| tag == kind.tag()))?;
        let value = |name: &str| tags.iter().find_map(|tag| tag.strip_prefix(name)?.strip_prefix('=')).map(unquoted);
        let volume = value("drbd-volume")?.parse().ok()?;
        let volumes = value("drbd-volumes").unwrap_or_default();
        let volumes: Vec<u32> = volumes.split('+').filter_map(|number| number.parse().ok()).collect();
        Some(Self {
            kind,
            resource: value("drbd-resource")?,
            volume,
            group: value("drbd-group")?,
            volumes: if volumes.is_empty() { vec![volume] } else { volumes },
            time: value("drbd-time").unwrap_or_default(),
            generation: value("drbd-gi"),
        })
    }

    /// What its snapshot is called: `LV-before-resync-STAMP`. The volume's name is cut where device-mapper, which doubles hyphens and adds
    /// `-cow`, has no room for all.
    #[must_use]
    pub fn name(&self, vg: &VgName, lv: &str) -> String {
        const ROOM: usize = 127 - "--cow".len();
        let doubled = |text: &str| text.len() + text.bytes().filter(|b| *b == b'-').count();
        let end = format!("{}{}", self.kind.infix(), self.group.to_lowercase());
        let mut kept = lv;
        while doubled(vg.as_str()) + doubled(kept) + doubled(&end) > ROOM && kept.len() > 1 {
            kept = kept.get(..kept.len() - 1).unwrap_or_default();
        }
        format!("{kept}{end}")
    }
}

/// `2026-01-31T12:00:00Z` → `20260131T120000Z`.
#[must_use]
pub fn stamp(time: &str) -> String {
    time.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || PLAIN.contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("#{b:02x}") }).collect()
}

fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('#') {
        bytes.extend(before.as_bytes());
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(b'#'));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A snapshot of ours as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What its tags say.
    pub label: Label,
    /// Its volume group.
    pub vg: VgName,
    /// Its name.
    pub name: String,
    /// What it is a snapshot of.
    pub origin: String,
    /// Whether it is thin.
    pub is_thin: bool,
    /// Bytes for changes, of a thick one.
    pub size: u64,
    /// How full it is, of a thin one its pool, in hundredths of a per cent.
    pub used: Option<u32>,
    /// Whether it has overflowed.
    pub is_invalid: bool,
    /// Whether it is being merged.
    pub is_merging: bool,
}

/// The snapshots of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// What it was made for.
    pub kind: Kind,
    /// Its snapshots, by volume.
    pub snapshots: Vec<Snapshot>,
}

impl Group {
    /// The groups of a resource among these snapshots, oldest first.
    #[must_use]
    pub fn of(resource: &str, snapshots: impl IntoIterator<Item = Snapshot>) -> Vec<Self> {
        let mut groups: BTreeMap<(String, Kind), Vec<Snapshot>> = BTreeMap::new();
        for snapshot in snapshots.into_iter().filter(|snapshot| snapshot.label.resource == resource) {
            groups.entry((snapshot.label.group.clone(), snapshot.label.kind)).or_default().push(snapshot);
        }
        let group = |((id, kind), mut snapshots): ((String, Kind), Vec<Snapshot>)| {
            snapshots.sort_by_key(|snapshot| snapshot.label.volume);
            Self { id, kind, snapshots }
        };
        groups.into_iter().map(group).collect()
    }

    /// When it was made.
    #[must_use]
    pub fn time(&self) -> &str {
        self.snapshots.first().map_or("", |snapshot| &snapshot.label.time)
    }

    /// The volumes of which it lacks the snapshot.
    #[must_use]
    pub fn missing(&self) -> Vec<u32> {
        let has = |volume: u32| self.snapshots.iter().any(|snapshot| snapshot.label.volume == volume);
        let all = self.snapshots.first().map(|snapshot| snapshot.label.volumes.clone()).unwrap_or_default();
        all.into_iter().filter(|volume| !has(*volume)).collect()
    }

    /// Whether it can be gone back to: it is whole, none has overflowed, and none is on its way back already.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.missing().is_empty() && !self.snapshots.iter().any(|snapshot| snapshot.is_invalid || snapshot.is_merging)
    }

    /// Whether one of its snapshots has overflowed.
    #[must_use]
    pub fn is_overflowed(&self) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.is_invalid)
    }
}

/// For the tests of whatever works with groups.
#[cfg(test)]
pub fn snapshot(group: &str, volume: u32, volumes: &[u32]) -> Snapshot {
    let label = Label {
        kind: Kind::BeforeResync,
        resource: "r0".into(),
        volume,
        group: group.into(),
        volumes: volumes.to_vec(),
        time: "2026-01-31T12:00:00Z".into(),
        generation: None,
    };
    let vg = VgName::parse("vg1").unwrap();
    let origin = format!("lv{volume}");
    let name = label.name(&vg, &origin);
    Snapshot { label, vg, name, origin, is_thin: false, size: 8 << 20, used: Some(0), is_invalid: false, is_merging: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(resource: &str) -> Label {
        Label {
            kind: Kind::BeforeResync,
            resource: resource.into(),
            volume: 1,
            group: "20260131T120000Z".into(),
            volumes: vec![0, 1],
            time: "2026-01-31T12:00:00Z".into(),
            generation: Some("64AF5629DBCD46B2:0000000000000000:0000000000000000:0000000000000000".into()),
        }
    }

    #[test]
    fn every_label_comes_back_out_of_its_tags_and_lvm_takes_them() {
        for resource in ["r0", "a-b_c.d+e", "50%@home:x=y/z", "#23", "gr\u{fc}n"] {
            let label = label(resource);
            let tags = label.tags();
            assert_eq!(Label::of(&tags), Some(label), "{resource}");
            for tag in tags {
                let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+.-/=!:&#".contains(&b);
                assert!(tag.bytes().all(fits) && tag.len() < 1024 && !tag.starts_with('-'), "{tag}");
            }
        }
    }

    #[test]
    fn tags_of_others_are_no_label() {
        let without =
            |name: &str| -> Vec<String> { label("r0").tags().into_iter().filter(|tag| !tag.starts_with(name)).collect() };
        for needed in ["drbd-before-resync", "drbd-resource", "drbd-volume=", "drbd-group"] {
            assert_eq!(Label::of(&without(needed)), None, "{needed}");
        }
        assert_eq!(Label::of(&without("drbd-gi")).unwrap().generation, None);
        assert_eq!(Label::of(&[]), None);
    }

    #[test]
    fn a_name_says_what_it_is_and_fits_into_device_mapper() {
        let vg = VgName::parse("vg1").unwrap();
        assert_eq!(label("r0").name(&vg, "lv-a"), "lv-a-before-resync-20260131t120000z");
        let long = "a-".repeat(60);
        let name = label("r0").name(&vg, &long);
        assert!(name.ends_with("-before-resync-20260131t120000z") && name.len() < 100, "{name}");
        let mapped = format!("vg1-{}-cow", name.replace('-', "--"));
        assert!((120..128).contains(&mapped.len()), "{mapped}");
    }

    #[test]
    fn a_group_is_good_when_it_is_whole_and_nothing_has_overflowed() {
        let both = [snapshot("g2", 1, &[0, 1]), snapshot("g2", 0, &[0, 1]), snapshot("g1", 0, &[0, 1])];
        let groups = Group::of("r0", both);
        assert_eq!(
            groups.iter().map(|group| (group.id.as_str(), group.is_good())).collect::<Vec<_>>(),
            [("g1", false), ("g2", true)]
        );
        assert_eq!(groups[0].missing(), [1]);
        assert_eq!(groups[1].snapshots[0].label.volume, 0);
        let spilt = Snapshot { is_invalid: true, ..snapshot("g", 0, &[0]) };
        assert!(!Group::of("r0", [spilt])[0].is_good());
        assert!(Group::of("r1", [snapshot("g", 0, &[0])]).is_empty());
    }
}
