//! The configuration that LVM commands run with, as `lvm lvmconfig` prints it, and what the filters in it let through.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::attr::Root;
use super::error::Result;
use super::exec::Tool;
use crate::deadline::Deadline;

/// The effective configuration: every setting by its path, `devices/filter`, with its values. A single value is a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LvmConfig {
    settings: BTreeMap<String, Vec<String>>,
}

impl LvmConfig {
    /// Asks `lvm lvmconfig` for what is set and, for what is not, for its default.
    ///
    /// # Errors
    /// LVM is not installed, complains, or does not answer in time.
    pub fn read(root: &Root, deadline: Deadline) -> Result<Self> {
        let text = Tool::find(root, "lvm")?.ok(&["lvmconfig", "--typeconfig", "full"], deadline)?;
        Ok(Self::parse(&text))
    }

    /// Reads what `lvmconfig` prints, which is simpler than what lvm.conf(5) may hold: one setting a line, strings in double quotes. A
    /// line that is none of that is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut settings = BTreeMap::new();
        let mut sections: Vec<&str> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(section) = line.strip_suffix('{') {
                sections.push(section.trim());
            } else if line == "}" {
                sections.pop();
            } else if let Some((name, value)) = line.split_once('=') {
                let path = sections.iter().copied().chain([name.trim()]).collect::<Vec<_>>().join("/");
                settings.insert(path, values(value));
            }
        }
        Self { settings }
    }

    /// The values of a setting; `None` when it is not set and has no default.
    #[must_use]
    pub fn list(&self, path: &str) -> Option<&[String]> {
        self.settings.get(path).map(Vec::as_slice)
    }

    /// The first value of a setting; empty when there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.list(path).and_then(<[String]>::first).map_or("", String::as_str)
    }

    /// Whether a setting is set and not 0.
    #[must_use]
    pub fn is_on(&self, path: &str) -> bool {
        !matches!(self.text(path), "" | "0")
    }

    /// Whether `devices/filter` or `devices/global_filter` keeps LVM from a device that has these names; `None` when one of their patterns
    /// can not be read.
    #[must_use]
    pub fn filters_reject(&self, names: &[String]) -> Option<bool> {
        let rejects = |setting| rejects(self.list(setting).unwrap_or_default(), names);
        Some(rejects("devices/global_filter")? || rejects("devices/filter")?)
    }
}

/// `"a"`, `1`, `["a|x|", 2]`.
fn values(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = text.trim().trim_start_matches('[').trim_end_matches(']').trim_start();
    while !rest.is_empty() {
        let (value, after) = if let Some(string) = rest.strip_prefix('"') { quoted(string) } else { bare(rest) };
        values.push(value);
        rest = after.trim_start_matches([',', ' ', '\t']);
    }
    values
}

/// Up to the closing quote, where a backslash takes the next character as it is.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

fn bare(text: &str) -> (String, &str) {
    let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
    (value.trim().to_owned(), rest)
}

/// Whether these patterns keep LVM from a device that has these names; `None` when one of them can not be read. The first that matches
/// decides about a name; one accepted name is enough for the device, and so is no match at all (lvm.conf(5), `devices/filter`).
#[must_use]
pub fn rejects(patterns: &[String], names: &[String]) -> Option<bool> {
    let patterns = patterns.iter().map(|pattern| Pattern::parse(pattern)).collect::<Option<Vec<_>>>()?;
    let verdicts = names.iter().filter_map(|name| patterns.iter().find(|p| p.regex.is_match(name)).map(|p| p.accepts));
    let mut rejected = false;
    for accepted in verdicts {
        if accepted {
            return Some(false);
        }
        rejected = true;
    }
    Some(rejected)
}

struct Pattern {
    accepts: bool,
    regex: Regex,
}

impl Pattern {
    /// `a|^/dev/sd.*|`, `r(loop)`: any character delimits, and braces do in pairs.
    fn parse(text: &str) -> Option<Self> {
        let mut chars = text.trim().chars();
        let accepts = match chars.next()? {
            'a' => true,
            'r' => false,
            _ => return None,
        };
        let end = match chars.next()? {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            other => other,
        };
        let (regex, _) = chars.as_str().rsplit_once(end)?;
        Regex::new(&translated(regex)).ok().map(|regex| Self { accepts, regex })
    }
}

/// LVM counts no repetitions and knows no classes by letter: a brace is a brace, and `\d` is a d.
fn translated(regex: &str) -> String {
    let mut translated = String::with_capacity(regex.len());
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(escaped)) => {
                chars.next();
                translated.extend((!escaped.is_alphanumeric()).then_some('\\'));
                translated.push(escaped);
            }
            ('{' | '}', _) => translated.extend(['\\', c]),
            _ => translated.push(c),
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As LVM 2.03.16 prints it.
    const FULL: &str = r#"config {
	checks=1
	profile_dir="/etc/lvm/profile"
}
tags {
	hosttags=1
}
devices {
	dir="/dev"
	use_devicesfile=0
	filter=["a|^/dev/drbd.*|","r|.*|"]
	global_filter=["r|^/dev/vg1/.*|","a/x\"y\\z/"]
	preferred_names=[]
	scan_lvs=0
}
activation {
	volume_list=["vg1","@pacemaker","vg2/lv"]
	auto_activation_volume_list=[]
	raid_region_size=2048
	thin_pool_autoextend_threshold=100
}
local {
	extra_system_ids=["a", "b" , 3]
}
"#;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn with(filter: &[&str]) -> LvmConfig {
        LvmConfig { settings: BTreeMap::from([("devices/filter".to_owned(), names(filter))]) }
    }

    #[test]
    fn settings_of_every_kind_are_read_by_their_path() {
        let config = LvmConfig::parse(FULL);
        assert_eq!(config.list("devices/filter"), Some(&*names(&["a|^/dev/drbd.*|", "r|.*|"])));
        assert_eq!(config.list("devices/global_filter"), Some(&*names(&["r|^/dev/vg1/.*|", r#"a/x"y\z/"#])));
        assert_eq!(config.list("activation/auto_activation_volume_list"), Some(&[][..]));
        assert_eq!(config.list("local/extra_system_ids"), Some(&*names(&["a", "b", "3"])));
        assert_eq!((config.text("devices/dir"), config.text("activation/raid_region_size")), ("/dev", "2048"));
        assert!(config.is_on("tags/hosttags") && !config.is_on("devices/scan_lvs") && !config.is_on("no/such"));
        assert_eq!(config.list("activation/read_only_volume_list"), None);
    }

    #[test]
    fn a_configuration_that_ends_anywhere_or_is_rubbish_is_read_without_a_panic() {
        let whole = LvmConfig::parse(FULL).settings.len();
        for cut in 0..FULL.len() {
            assert!(LvmConfig::parse(&FULL[..cut]).settings.len() <= whole, "{cut}");
        }
        for text in ["}\n}\na=1", "a=[", "a=\"", "a=\"\\", "a=[\"x", "=", "a={\n", "a=,,"] {
            assert!(LvmConfig::parse(text).settings.len() <= 1, "{text}");
        }
    }

    /// Filters, and whether LVM 2.03.16 rejected a disk of these names by them.
    const DECIDED: [(&[&str], bool); 17] = [
        (&["a|.*|"], false),
        (&["r|.*|"], true),
        (&["a|^/dev/drbd.*|", "r|.*|"], true),
        (&["r|^/dev/vdb$|"], true),
        (&["r|^/dev/vdb$|", "a|.*|"], false),
        (&["r|vdb|", "r|by-|", "a|.*|"], false),
        (&["a|by-id/virtio-data|", "r|.*|"], false),
        (&["r|by-id/virtio-data|"], true),
        (&["r|v{0,1}db|"], false),
        (&["r|v{0,1}db|", "r(/dev/vdb)"], true),
        (&["r{vdb}"], true),
        (&["r|/dev/vd(a|b)$|"], true),
        (&["r|/dev/vd[b-c]|"], true),
        (&[r"r|\/dev\/v\d.?|"], true),
        (&["r|VDB|"], false),
        (&[r"r|/dev/v\d|"], true),
        (&[r"r|/dev/v\w|"], false),
    ];

    #[test]
    fn the_first_pattern_that_matches_a_name_decides_and_one_accepted_name_is_enough() {
        let disk = names(&["/dev/vdb", "/dev/block/254:16", "/dev/disk/by-id/virtio-data", "/dev/disk/by-diskseq/2"]);
        for (filter, rejected) in DECIDED {
            assert_eq!(with(filter).filters_reject(&disk), Some(rejected), "{filter:?}");
        }
    }

    #[test]
    fn a_pattern_that_can_not_be_read_gives_no_verdict() {
        for filter in ["", "x|a|", "a", "a|", "a|(|", "r|[|"] {
            assert_eq!(with(&[filter]).filters_reject(&names(&["/dev/vdb"])), None, "{filter}");
        }
        assert_eq!(with(&["r|v{b|"]).filters_reject(&names(&["/dev/v{b"])), Some(true));
    }

    #[test]
    #[ignore = "vm: makes a physical volume of /dev/vdb and asks LVM about it; needs root"]
    fn lvm_itself_decides_as_we_do_and_its_configuration_is_read() {
        use crate::kernel::block::BlockDevice;
        use std::time::Duration;
        let (root, soon) = (Root::host(), || Deadline::after(Duration::from_secs(30)));
        let lvm = Tool::find(&root, "lvm").unwrap();
        // What an earlier test left on it is a signature that pvcreate respects, and some are none that wipefs knows.
        let mut disk = std::fs::OpenOptions::new().write(true).open("/dev/vdb").unwrap();
        std::io::Write::write_all(&mut disk, &vec![0; 1 << 20]).unwrap();
        disk.sync_all().unwrap();
        drop(disk);
        lvm.ok(&["pvcreate", "-ffy", "/dev/vdb"], soon()).unwrap();
        let disk = BlockDevice::of(&root, "/dev/vdb").unwrap().nodes(&root).unwrap();
        let mut wrong = Vec::new();
        for (filter, _) in DECIDED {
            let escaped: Vec<String> = filter.iter().map(|item| format!("\"{}\"", item.replace('\\', r"\\"))).collect();
            let config = format!("devices {{ filter=[{}] }}", escaped.join(","));
            let printed = lvm.ok(&["lvmconfig", "--typeconfig", "full", "--config", &config], soon()).unwrap();
            let shown = lvm.ok(&["pvs", "--noheadings", "-o", "pv_name", "--config", &config], soon()).unwrap();
            let theirs = !shown.lines().any(|pv| disk.iter().any(|name| name == pv.trim()));
            let ours = LvmConfig::parse(&printed).filters_reject(&disk);
            if ours != Some(theirs) {
                wrong.push((filter, ours, theirs));
            }
        }
        lvm.ok(&["pvremove", "-ffy", "/dev/vdb"], soon()).unwrap();
        assert_eq!(wrong, []);
        let config = LvmConfig::read(&root, soon()).unwrap();
        assert_eq!((config.text("devices/dir"), config.is_on("devices/use_devicesfile")), ("/dev", false));
        assert!(config.is_on("global/event_activation") && config.list("activation/volume_list").is_none());
    }
}
