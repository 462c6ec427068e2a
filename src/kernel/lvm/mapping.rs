//! Which logical volume a device-mapper device is, or is a part of: by its UUID, and by its name where the UUID does not say.

use std::fmt;

use super::names::{LEASES, PART_OF, PASSING};

/// What the device-mapper UUID of everything that LVM maps begins with.
const LVM: &str = "LVM-";
/// Characters of a UUID.
const LENGTH: usize = 32;
/// How LVM prints one: groups of so many characters.
const GROUPS: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];

/// The UUID of a volume group or a logical volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(String);

impl Uuid {
    /// Reads one, with the hyphens that `vgs` prints or without.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let grouped = parts.iter().map(|part| part.len()).eq(GROUPS);
        let bare = parts.concat();
        // `!` and `#` are in LVM's alphabet (lib/uuid/uuid.c), though it makes no new ones with them.
        let spelled = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'!' || b == b'#');
        if spelled && bare.len() == LENGTH && (grouped || parts.len() == 1) {
            Ok(Self(bare))
        } else {
            Err(format!("{text:?} is no LVM UUID"))
        }
    }

    /// Without hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the device-mapper UUIDs begin with of all devices of the volume group that has this UUID.
    #[must_use]
    pub fn dm_prefix(&self) -> String {
        format!("{LVM}{}", self.0)
    }

    /// The device-mapper UUID of a logical volume with the UUID `lv` in the volume group that has this one. Its layers and parts have
    /// more behind it.
    #[must_use]
    pub fn dm_uuid(&self, lv: &Self) -> String {
        format!("{LVM}{}{}", self.0, lv.0)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device-mapper device that LVM made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The volume group by the device's name; empty when it is not a name that LVM gives.
    pub vg: String,
    /// The logical volume by the device's name, which can be a part of another one (`lv1_rimage_0`); the whole name when it is not one
    /// that LVM gives.
    pub lv: String,
    /// The layer by the device's name: `real`, `cow`, `tpool` and so on.
    pub layer: Option<String>,
    /// The UUID of the volume group.
    pub vg_uuid: Uuid,
    /// The UUID of the logical volume.
    pub lv_uuid: Uuid,
    /// What is behind the UUIDs: `real`, `tpool`, `pool` and so on.
    pub suffix: Option<String>,
}

impl Mapping {
    /// Reads a device's name and UUID; `None` when it is not a logical volume or a part of one.
    #[must_use]
    pub fn of(name: &str, uuid: &str) -> Option<Self> {
        let ids = uuid.strip_prefix(LVM)?;
        let vg_uuid = Uuid::parse(ids.get(..LENGTH)?).ok()?;
        let lv_uuid = Uuid::parse(ids.get(LENGTH..2 * LENGTH)?).ok()?;
        let suffix = match ids.get(2 * LENGTH..)? {
            "" => None,
            more => Some(more.strip_prefix('-').filter(|suffix| !suffix.is_empty())?.to_owned()),
        };
        // A device keeps its UUID when somebody gives it another name: it is a logical volume all the same.
        let (vg, lv, layer) = split(name).unwrap_or_else(|| (String::new(), name.to_owned(), None));
        Some(Self { vg, lv, layer, vg_uuid, lv_uuid, suffix })
    }

    /// Whether it is a logical volume as its user has it, not a layer below it or a part of it.
    ///
    /// A thin pool is never one: its devices have the suffixes `pool` and `tpool`, and [`Mapping::base`] is its name.
    #[must_use]
    pub fn is_top(&self) -> bool {
        // Images and logs of RAID and mirrors have no suffix (lvm2, `build_dm_uuid`), so their names must say it.
        let internal = self.lv == LEASES
            || PASSING.iter().any(|own| self.lv.starts_with(own))
            || PART_OF.iter().any(|own| self.lv.contains(own));
        self.suffix.is_none() && self.layer.is_none() && !internal
    }

    /// The name of the logical volume that the user has and that this is or is a part of.
    ///
    /// Of a cache pool's parts it is the pool's, which the user named too; which volume uses it is not in their names. What LVM makes
    /// for itself alone (`pvmove0`, `lvmlock`) keeps its own.
    #[must_use]
    pub fn base(&self) -> &str {
        // A part can have parts (`pool_tdata_rimage_0`), and no user's name has such a word in it: the first one ends the name.
        let end = PART_OF.iter().filter_map(|own| self.lv.find(own)).min();
        end.and_then(|end| self.lv.get(..end)).unwrap_or(&self.lv)
    }
}

/// Volume group, logical volume and layer of a device's name. Left to right there is only one way: two hyphens are one of the name's
/// own, a single one ends it, and no name of a logical volume begins with one.
fn split(name: &str) -> Option<(String, String, Option<String>)> {
    let (vg, rest) = until_single_hyphen(name);
    let (lv, layer) = until_single_hyphen(rest?);
    let named = !vg.is_empty() && !lv.is_empty() && layer != Some("");
    named.then(|| (vg, lv, layer.map(str::to_owned)))
}

/// What is before the first single hyphen, with single ones for the double ones; and what is behind it.
fn until_single_hyphen(text: &str) -> (String, Option<&str>) {
    let mut before = String::new();
    let mut rest = text;
    while let Some((part, behind)) = rest.split_once('-') {
        before.push_str(part);
        let Some(more) = behind.strip_prefix('-') else { return (before, Some(behind)) };
        before.push('-');
        rest = more;
    }
    before.push_str(rest);
    (before, None)
}

#[cfg(test)]
mod tests {
    use super::super::names::VgName;
    use super::*;

    const VG: &str = "9x1qyRFPEIzHHhCGH9Lr5GMZ3SLn0WUD";
    const LV: &str = "Lhq4h3Ne8tQDO7MtUEY4eWvSoaJ1nMWz";

    fn of(name: &str, suffix: &str) -> Mapping {
        Mapping::of(name, &format!("LVM-{VG}{LV}{suffix}")).unwrap()
    }

    #[test]
    fn a_uuid_is_read_as_vgs_prints_it_and_as_device_mapper_has_it() {
        let grouped = "9x1qyR-FPEI-zHHh-CGH9-Lr5G-MZ3S-Ln0WUD";
        assert_eq!(Uuid::parse(grouped).unwrap().to_string(), VG);
        assert_eq!(Uuid::parse(VG), Uuid::parse(grouped));
        let short = &VG[1..];
        let other_groups = "9x1qy-RFPEI-zHHh-CGH9-Lr5G-MZ3S-Ln0WUD";
        for bad in ["", "-", short, other_groups, &format!("{VG}x"), &VG.replace('R', "/"), &VG.replace("9x", "ü")] {
            assert!(Uuid::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_group_is_known_by_the_uuid_alone() {
        let (vg, lv) = (Uuid::parse(VG).unwrap(), Uuid::parse(LV).unwrap());
        assert_eq!((vg.dm_prefix(), vg.dm_uuid(&lv)), (format!("LVM-{VG}"), format!("LVM-{VG}{LV}")));
    }

    #[test]
    fn every_name_comes_back_out_of_its_device_mapper_name() {
        let names: Vec<String> = "a-._"
            .chars()
            .flat_map(|a| "a-._".chars().flat_map(move |b| "a-._".chars().map(move |c| format!("{a}{b}{c}"))))
            .flat_map(|name| [name[..1].to_owned(), name[..2].to_owned(), name])
            .collect();
        let mut tried = 0;
        for vg in names.iter().filter_map(|name| VgName::parse(name).ok()) {
            for lv in names.iter().filter_map(|name| VgName::parse(name).ok()) {
                let name = format!("{}-{}", vg.as_str().replace('-', "--"), lv.as_str().replace('-', "--"));
                let top = of(&name, "");
                assert_eq!((top.vg.as_str(), top.lv.as_str(), top.layer.as_deref()), (vg.as_str(), lv.as_str(), None), "{name}");
                assert!(top.is_top());
                let below = of(&format!("{name}-real"), "-real");
                assert_eq!((below.vg.as_str(), below.base(), below.layer.as_deref()), (vg.as_str(), lv.as_str(), Some("real")));
                assert!(!below.is_top());
                tried += 1;
            }
        }
        assert!(tried > 1000, "{tried}");
    }

    #[test]
    fn the_parts_of_a_volume_are_not_on_top_and_name_it() {
        for (name, suffix, base) in [
            ("vg1-lv1_rimage_0", "", "lv1"),
            ("vg1-lv1_rmeta_1", "", "lv1"),
            ("vg1-lv1_rimage_0_iorig", "-real", "lv1"),
            ("vg1-lv1_mimagetmp_2", "", "lv1"),
            ("vg1-lv1_mlog", "", "lv1"),
            ("vg1-lv1-real", "-real", "lv1"),
            ("vg1-snap-cow", "-cow", "snap"),
            ("vg1-pool-tpool", "-tpool", "pool"),
            ("vg1-pool", "-pool", "pool"),
            ("vg1-pool_tdata", "-tdata", "pool"),
            ("vg1-pool_tdata_rimage_1", "", "pool"),
            ("vg1-pool_tmeta", "-tmeta", "pool"),
            ("vg1-lv1_corig", "-real", "lv1"),
            ("vg1-fast_cpool_cdata", "-cdata", "fast"),
            ("vg1-fast_cvol", "-cvol", "fast"),
            ("vg1-lv1_wcorig", "-real", "lv1"),
            ("vg1-vpool_vdata", "-vdata", "vpool"),
            ("vg1-lv1-missing_0_0", "-missing_0_0", "lv1"),
            ("vg1-pvmove0", "", "pvmove0"),
            ("vg1-lvmlock", "", "lvmlock"),
        ] {
            let part = of(name, suffix);
            assert!(!part.is_top(), "{name}");
            assert_eq!(part.base(), base, "{name}");
        }
        for (name, base) in [("vg1-my_cpoo", "my_cpoo"), ("vg1-lv1_rimag", "lv1_rimag")] {
            assert!(of(name, "").is_top());
            assert_eq!(of(name, "").base(), base);
        }
    }

    #[test]
    fn a_device_that_somebody_renamed_is_still_the_volume() {
        for odd in ["renamed", "", "-", "--", "a-", "-a", "a-b-", "\u{fc}-\u{fc}-\u{fc}-\u{fc}"] {
            let mapping = of(odd, "");
            assert_eq!((mapping.vg_uuid.as_str(), mapping.lv_uuid.as_str()), (VG, LV));
            assert!(!mapping.lv.is_empty() || odd.is_empty());
        }
        assert_eq!(
            (of("renamed", "").vg.as_str(), of("renamed", "").lv.as_str(), of("renamed", "").is_top()),
            ("", "renamed", true)
        );
    }

    #[test]
    fn what_is_cut_short_or_not_of_lvm_is_no_mapping() {
        let whole = format!("LVM-{VG}{LV}-real");
        for end in 0..whole.len() {
            let found = Mapping::of("vg1-lv1-real", &whole[..end]).and_then(|mapping| mapping.suffix);
            let suffix = whole.get(69..end).filter(|suffix| !suffix.is_empty());
            assert_eq!(found.as_deref(), suffix, "{end}");
        }
        for uuid in ["", "LVM-", "CRYPT-LUKS2-0123", "mpath-360014", &format!("LVM-{VG}{LV}x"), &format!("LVM-{VG}{LV}-")] {
            assert_eq!(Mapping::of("vg1-lv1", uuid), None, "{uuid}");
        }
        let wide = format!("LVM-{}\u{fc}{LV}", &VG[..31]);
        assert_eq!(Mapping::of("vg1-lv1", &wide), None);
    }
}
