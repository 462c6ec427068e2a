//! What `lvm fullreport --reportformat json` says of a volume group. Decodes text; runs nothing.

use serde::Deserialize;

use super::names::Uuid;

/// The fields that are asked for, by the kind of object. Sizes are in bytes, yes and no are 1 and 0 (lvmreport(7)).
pub const FIELDS: [(&str, &str); 5] = [
    ("vg", "vg_name,vg_uuid,vg_systemid,vg_lock_type,vg_tags,vg_exported,vg_missing_pv_count,vg_extent_size,vg_autoactivation"),
    ("pv", "pv_name,pe_start,pv_missing"),
    ("lv", "lv_uuid,lv_name,lv_role,lv_skip_activation,lv_size,origin"),
    ("seg", "lv_uuid,segtype,seg_start,seg_size,seg_pe_ranges"),
    // Nothing of it is used, and it can not be left out.
    ("pvseg", "pvseg_start"),
];

/// A volume group as its metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// The host that owns it; empty for none.
    pub system_id: String,
    /// `dlm` or `sanlock`; empty when lvmlockd has nothing to do with it.
    pub lock_type: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it is exported.
    pub is_exported: bool,
    /// How many of its physical volumes are not there.
    pub missing_pvs: u32,
    /// Bytes of an extent.
    pub extent_size: u64,
    /// Whether it is activated at boot.
    pub has_autoactivation: bool,
    /// Its physical volumes.
    pub pvs: Vec<PhysicalVolume>,
    /// Its logical volumes, internal ones too when they were asked for.
    pub lvs: Vec<LogicalVolume>,
}

/// A physical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// The path of its device; `[unknown]` when that is not there.
    pub name: String,
    /// Where its first extent begins, in bytes.
    pub start: u64,
    /// Whether its device is not there.
    pub is_missing: bool,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its name, without the brackets of an internal one.
    pub name: String,
    /// Whether it is a part of another one.
    pub is_internal: bool,
    /// `public`, `private`, `snapshot` and so on.
    pub roles: Vec<String>,
    /// What it is a snapshot of; empty when it is none.
    pub origin: String,
    /// Whether an activation passes it over unless told otherwise.
    pub skips_activation: bool,
    /// Its size in bytes; of an old-style snapshot, that of what it may hold of changes.
    pub size: u64,
    /// What it is made of.
    pub segments: Vec<Segment>,
}

impl LogicalVolume {
    /// Whether it has this role.
    #[must_use]
    pub fn is(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }
}

/// A stretch of a logical volume that is laid out in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// `linear`, `striped`, `raid1` and so on.
    pub kind: String,
    /// Where it begins, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub size: u64,
    /// The extents below it: `/dev/sda:0-4 /dev/sdb:0-4`.
    pub ranges: String,
}

/// Reads a report; `None` when it names no volume group.
///
/// # Errors
/// It is no such report, in a few words.
pub fn decode(text: &str) -> Result<Option<VolumeGroup>, String> {
    let raw: Raw = serde_json::from_str(text).map_err(|e| format!("its report can not be read: {e}"))?;
    let Some(report) = raw.report.into_iter().find(|report| !report.vg.is_empty()) else { return Ok(None) };
    let Some(vg) = report.vg.into_iter().next() else { return Ok(None) };
    let mut lvs = report.lv.into_iter().map(logical_volume).collect::<Result<Vec<_>, _>>()?;
    for segment in report.seg {
        let uuid = Uuid::parse(&segment.lv_uuid)?;
        let piece = Segment {
            kind: segment.segtype,
            start: number(&segment.seg_start)?,
            size: number(&segment.seg_size)?,
            ranges: segment.seg_pe_ranges,
        };
        if let Some(lv) = lvs.iter_mut().find(|lv| lv.uuid == uuid) {
            lv.segments.push(piece);
        }
    }
    for lv in &mut lvs {
        lv.segments.sort_by_key(|segment| segment.start);
    }
    let pv = |pv: RawPv| {
        Ok::<_, String>(PhysicalVolume { start: number(&pv.pe_start)?, is_missing: pv.pv_missing == "1", name: pv.pv_name })
    };
    Ok(Some(VolumeGroup {
        uuid: Uuid::parse(&vg.vg_uuid)?,
        name: vg.vg_name,
        system_id: vg.vg_systemid,
        lock_type: if vg.vg_lock_type == "none" { String::new() } else { vg.vg_lock_type },
        tags: words(&vg.vg_tags),
        is_exported: vg.vg_exported == "1",
        missing_pvs: vg.vg_missing_pv_count.trim().parse().map_err(|_| not_a_number(&vg.vg_missing_pv_count))?,
        extent_size: number(&vg.vg_extent_size)?,
        has_autoactivation: vg.vg_autoactivation == "1",
        pvs: report.pv.into_iter().map(pv).collect::<Result<_, _>>()?,
        lvs,
    }))
}

fn logical_volume(lv: RawLv) -> Result<LogicalVolume, String> {
    let internal = lv.lv_name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).map(str::to_owned);
    Ok(LogicalVolume {
        uuid: Uuid::parse(&lv.lv_uuid)?,
        is_internal: internal.is_some(),
        name: internal.unwrap_or(lv.lv_name),
        roles: words(&lv.lv_role),
        origin: lv.origin,
        skips_activation: lv.lv_skip_activation == "1",
        size: number(&lv.lv_size)?,
        segments: Vec::new(),
    })
}

fn words(list: &str) -> Vec<String> {
    list.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| not_a_number(text))
}

fn not_a_number(text: &str) -> String {
    format!("its report can not be read: {text:?} is not a number")
}

#[derive(Deserialize)]
struct Raw {
    report: Vec<RawReport>,
}

#[derive(Deserialize)]
struct RawReport {
    #[serde(default)]
    vg: Vec<RawVg>,
    #[serde(default)]
    pv: Vec<RawPv>,
    #[serde(default)]
    lv: Vec<RawLv>,
    #[serde(default)]
    seg: Vec<RawSeg>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the report")]
struct RawVg {
    vg_name: String,
    vg_uuid: String,
    vg_systemid: String,
    vg_lock_type: String,
    vg_tags: String,
    vg_exported: String,
    vg_missing_pv_count: String,
    vg_extent_size: String,
    #[serde(default)]
    vg_autoactivation: String,
}

#[derive(Deserialize)]
struct RawPv {
    pv_name: String,
    pe_start: String,
    pv_missing: String,
}

#[derive(Deserialize)]
struct RawLv {
    lv_uuid: String,
    lv_name: String,
    lv_role: String,
    lv_skip_activation: String,
    lv_size: String,
    #[serde(default)]
    origin: String,
}

#[derive(Deserialize)]
struct RawSeg {
    lv_uuid: String,
    segtype: String,
    seg_start: String,
    seg_size: String,
    seg_pe_ranges: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As lvm2 2.03.16 printed it, shortened.
    const REPORT: &str = r#"
  {
      "report": [
          {
              "vg": [
                  {"vg_name":"vg-a", "vg_uuid":"undWAV-mcDk-wQVx-5ixQ-pBhU-tTqG-bnlWDt", "vg_systemid":"", "vg_lock_type":"", "vg_tags":"one,two", "vg_exported":"0", "vg_missing_pv_count":"1", "vg_extent_size":"4194304", "vg_autoactivation":"1"}
              ]
              ,
              "pv": [
                  {"pv_name":"/dev/loop0", "pe_start":"1048576", "pv_missing":"0"},
                  {"pv_name":"[unknown]", "pe_start":"1048576", "pv_missing":"1"}
              ]
              ,
              "lv": [
                  {"lv_uuid":"KdQfjA-1cF9-Wcxm-UOtK-WWDG-L1Ec-SMfmYf", "lv_name":"lv-1", "lv_role":"public,origin,thickorigin", "lv_skip_activation":"0", "lv_size":"20971520"},
                  {"lv_uuid":"TO1R9u-pH96-TYV8-G3oD-3sYh-FlM9-m1X3EC", "lv_name":"[pool_tdata]", "lv_role":"private", "lv_skip_activation":"1", "lv_size":"41943040"}
              ]
              ,
              "pvseg": [
                  {"pvseg_start":"0"}
              ]
              ,
              "seg": [
                  {"lv_uuid":"KdQfjA-1cF9-Wcxm-UOtK-WWDG-L1Ec-SMfmYf", "segtype":"linear", "seg_start":"12582912", "seg_size":"8388608", "seg_pe_ranges":"/dev/loop0:11-12"},
                  {"lv_uuid":"KdQfjA-1cF9-Wcxm-UOtK-WWDG-L1Ec-SMfmYf", "segtype":"linear", "seg_start":"0", "seg_size":"12582912", "seg_pe_ranges":"/dev/loop0:0-2"}
              ]
          }
      ]
  }
"#;

    #[test]
    fn a_report_is_read_as_it_is_printed() {
        let vg = decode(REPORT).unwrap().unwrap();
        assert_eq!((vg.name.as_str(), vg.extent_size, vg.missing_pvs, vg.is_exported), ("vg-a", 4 << 20, 1, false));
        assert_eq!(vg.tags, ["one", "two"]);
        assert_eq!(
            vg.pvs.iter().map(|pv| (pv.name.as_str(), pv.is_missing)).collect::<Vec<_>>(),
            [("/dev/loop0", false), ("[unknown]", true)]
        );
        let lv = &vg.lvs[0];
        assert!(lv.is("public") && !lv.is_internal && vg.lvs[1].is_internal && vg.lvs[1].skips_activation);
        assert_eq!(
            lv.segments.iter().map(|s| (s.start, s.ranges.as_str())).collect::<Vec<_>>(),
            [(0, "/dev/loop0:0-2"), (12_582_912, "/dev/loop0:11-12")]
        );
        assert_eq!(vg.lvs[1].name, "pool_tdata");
    }

    #[test]
    fn a_report_without_a_volume_group_is_none_and_rubbish_is_an_error() {
        assert_eq!(decode("{\"report\": [ ]}").unwrap(), None);
        assert_eq!(decode("{\"report\": [ {\"vg\": []} ]}").unwrap(), None);
        for end in (1..REPORT.trim_end().len()).filter(|end| REPORT.is_char_boundary(*end)) {
            assert!(decode(&REPORT[..end]).is_err(), "{end}");
        }
        assert!(decode(&REPORT.replace("\"4194304\"", "\"4.00m\"")).is_err());
        assert!(decode(&REPORT.replace("undWAV", "und")).is_err());
    }
}
