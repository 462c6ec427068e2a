//! What `vgs` says about a volume group, without a lock and whoever owns it.

use serde::Deserialize;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::Result;
use crate::kernel::exec::Tool;

/// Without locks and daemons, and with groups of other owners.
const ASK: [&str; 7] =
    ["vgs", "--readonly", "--foreign", "--shared", "--reportformat=json", "-o", "vg_autoactivation,vg_tags,vg_lock_type,pv_name"];

/// A volume group that LVM sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether it may be activated when it appears.
    pub autoactivates: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// `dlm`, `sanlock`; empty when it is not shared.
    pub lock_type: String,
    /// Its physical volumes by path.
    pub pvs: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    report: Vec<Report>,
}

#[derive(Deserialize)]
struct Report {
    vg: Vec<Row>,
}

/// The group and one of its physical volumes.
#[derive(Deserialize)]
struct Row {
    vg_autoactivation: String,
    vg_tags: String,
    vg_lock_type: String,
    pv_name: String,
}

impl Seen {
    /// Asks LVM; `None` when it sees no such group or does not know one of the fields (before 2.03.12).
    ///
    /// # Errors
    /// LVM can not be run or does not answer in time.
    pub fn ask(root: &Root, vg: &str, deadline: Deadline) -> Result<Option<Self>> {
        let output = Tool::find(root, "lvm")?.run(&[&ASK[..], &[vg]].concat(), deadline)?;
        Ok(output.success().then(|| Self::parse(&output.stdout)).flatten())
    }

    fn parse(json: &str) -> Option<Self> {
        let answer: Answer = serde_json::from_str(json).ok()?;
        let rows: Vec<Row> = answer.report.into_iter().flat_map(|report| report.vg).collect();
        let first = rows.first()?;
        Some(Self {
            autoactivates: first.vg_autoactivation == "enabled",
            tags: first.vg_tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            lock_type: Some(&first.vg_lock_type).filter(|kind| *kind != "none").cloned().unwrap_or_default(),
            pvs: rows.into_iter().map(|row| row.pv_name).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_several_rows_is_one_group_and_an_empty_or_broken_one_is_none() {
        let row =
            |pv: &str| format!(r#"{{"vg_autoactivation":"enabled", "vg_tags":"t1,t2", "vg_lock_type":"", "pv_name":"{pv}"}}"#);
        let json = format!(r#"{{"report": [{{"vg": [{}, {}]}}]}}"#, row("/dev/vdb"), row("[unknown]"));
        let seen = Seen {
            autoactivates: true,
            tags: vec!["t1".into(), "t2".into()],
            lock_type: String::new(),
            pvs: vec!["/dev/vdb".into(), "[unknown]".into()],
        };
        assert_eq!(Seen::parse(&json), Some(seen));
        for end in 0..json.len() {
            assert_eq!(Seen::parse(&json[..end]), None, "{end}");
        }
        assert_eq!(Seen::parse(r#"{"report": [{"vg": []}]}"#), None);
    }
}
