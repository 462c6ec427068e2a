//! The disks below DRBD devices: what the kernel has attached, and what the configuration would attach. Runs no DRBD command, which would
//! report its errors and no disks when one resource of many is misspelt.

use std::collections::BTreeMap;

use super::attr::Root;
use super::block::BlockDevice;
use super::error::Result;

const CONFIG_DIR: &str = "/etc/drbd.d";

/// The disks of this machine below DRBD by path, each with its device.
///
/// # Errors
/// Whatever reading sysfs or the configuration says.
pub fn backing_disks(root: &Root) -> Result<BTreeMap<String, BlockDevice>> {
    let mut disks = BTreeMap::new();
    for path in configured(root)? {
        if let Ok(device) = BlockDevice::of(root, &path) {
            disks.insert(path, device);
        }
    }
    let block = root.dir("/sys/block");
    for name in block.entries()?.into_iter().map(|entry| entry.name).filter(|name| name.starts_with("drbd")) {
        let Some((major, minor)) = block.dir(&name).read_opt("dev")?.as_deref().and_then(numbers) else { continue };
        for slave in BlockDevice::numbered(root, major, minor).slaves(root)? {
            let is_known = disks.values().any(|disk| (disk.major(), disk.minor()) == (slave.major(), slave.minor()));
            if !is_known {
                disks.insert(format!("/dev/{}", slave.kernel_name()?), slave);
            }
        }
    }
    Ok(disks)
}

/// The first of these paths that leads to a disk below DRBD, by whatever name.
///
/// # Errors
/// The disks below DRBD can not be told.
pub fn backing_disk_among<'a>(root: &Root, mut paths: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>> {
    let disks = backing_disks(root)?;
    let is_below = |path: &&str| {
        let device = BlockDevice::of(root, path);
        device.is_ok_and(|device| disks.values().any(|disk| (disk.major(), disk.minor()) == (device.major(), device.minor())))
    };
    Ok(paths.find(is_below))
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The paths that `/etc/drbd.d/*.res` and `/etc/drbd.conf` name for this host.
fn configured(root: &Root) -> Result<Vec<String>> {
    let host = root.dir("/proc/sys/kernel").read_opt("hostname")?.unwrap_or_default();
    let dir = root.dir(CONFIG_DIR);
    let mut paths = Vec::new();
    for entry in dir.entries()?.into_iter().filter(|entry| entry.name.rsplit_once('.').is_some_and(|(_, end)| end == "res")) {
        paths.extend(disks_in(&dir.read_opt(&entry.name)?.unwrap_or_default(), &host));
    }
    paths.extend(disks_in(&root.dir("/etc").read_opt("drbd.conf")?.unwrap_or_default(), &host));
    Ok(paths)
}

/// The values of `disk` statements (drbd.conf(5)) that are in no `on` section of another host. `disk { … }` is a section of options.
fn disks_in(text: &str, host: &str) -> Vec<String> {
    let mut disks = Vec::new();
    let mut sections: Vec<Vec<String>> = Vec::new();
    let mut statement: Vec<String> = Vec::new();
    for token in tokens(text) {
        match token {
            Token::Word(word) => statement.push(word),
            Token::Open => sections.push(std::mem::take(&mut statement)),
            Token::Close => {
                sections.pop();
                statement.clear();
            }
            Token::End => {
                let is_elsewhere = |section: &Vec<String>| {
                    section.first().is_some_and(|word| word == "on") && !section.iter().skip(1).any(|name| name == host)
                };
                let mut words = std::mem::take(&mut statement).into_iter();
                if words.next().is_some_and(|word| word == "disk") && !sections.iter().any(is_elsewhere) {
                    disks.extend(words.next().filter(|path| path.starts_with('/')));
                }
            }
        }
    }
    disks
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => drop(chars.by_ref().find(|c| *c == '\n')),
            '{' => tokens.push(Token::Open),
            '}' => tokens.push(Token::Close),
            ';' => tokens.push(Token::End),
            '"' => tokens.push(Token::Word(chars.by_ref().take_while(|c| *c != '"').collect())),
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"{};#\"".contains(*c)) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = r#"
# disk /dev/commented;
resource r0 {
    meta-disk internal;
    disk { on-io-error detach; resync-rate 10M; }
    on node1 { # here
        device /dev/drbd0; disk "/dev/vdb"; address 10.0.0.1:7788; }
    on node2 { device /dev/drbd0; disk /dev/sda9; address 10.0.0.2:7788; }
}
resource r1 {
    volume 0 { device minor 1; disk /dev/vg1/c; meta-disk /dev/vg1/meta; }
    on node1 { volume 1 { device minor 2; disk none; } }
}
"#;

    #[test]
    fn the_disks_of_this_host_are_found_and_no_options_comments_or_other_hosts() {
        assert_eq!(disks_in(RESOURCE, "node1"), ["/dev/vdb", "/dev/vg1/c"]);
        assert_eq!(disks_in(RESOURCE, "node2"), ["/dev/sda9", "/dev/vg1/c"]);
        assert_eq!(disks_in(RESOURCE, "node3"), ["/dev/vg1/c"]);
    }

    #[test]
    fn a_configuration_that_ends_anywhere_is_read_without_a_panic() {
        for cut in 0..RESOURCE.len() {
            assert!(disks_in(&RESOURCE[..cut], "node1").len() <= 2, "{cut}");
        }
        assert_eq!(disks_in("}}}; disk disk; { { } \" disk", "node1"), [""; 0]);
    }

    #[test]
    fn a_disk_counts_once_whether_it_is_attached_configured_or_both() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        assert!(backing_disks(&root).unwrap().is_empty());
        root.dir("/proc/sys/kernel").set("hostname", "node1\n").unwrap();
        root.dir(CONFIG_DIR).set("r0.res", RESOURCE).unwrap();
        root.dir("/dev").set("vdb", "254:16\n").unwrap();
        root.dir("/sys/block/drbd0").set("dev", "147:0\n").unwrap();
        for (name, number) in [("vdb", "254:16"), ("vdc", "254:32")] {
            root.dir("/sys/dev/block/147:0/slaves").dir(name).set("dev", number).unwrap();
            root.dir("/sys/dev/block").dir(number).set("uevent", &format!("DEVNAME={name}\n")).unwrap();
        }
        let disks = backing_disks(&root).unwrap();
        assert_eq!(disks.keys().map(String::as_str).collect::<Vec<_>>(), ["/dev/vdb", "/dev/vdc"]);
    }

    #[test]
    fn a_disk_below_drbd_is_known_by_its_number_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        root.dir(CONFIG_DIR).set("r0.res", "resource r0 { device /dev/drbd0; disk /dev/vdb; }").unwrap();
        for (name, number) in [("vdb", "254:16"), ("vdc", "254:32"), ("drbd0", "147:0"), ("by-id", "254:16\n")] {
            root.dir("/dev").set(name, number).unwrap();
        }
        let found = |paths: &[&'static str]| backing_disk_among(&root, paths.iter().copied()).unwrap();
        assert_eq!(found(&["/dev/vdc", "/dev/vdb"]), Some("/dev/vdb"));
        assert_eq!(found(&["/dev/by-id"]), Some("/dev/by-id"));
        assert_eq!(found(&["/dev/drbd0", "/dev/vdc", "[unknown]", "/dev/none"]), None);
        root.dir("/etc").dir("drbd.conf").set("is", "a directory").unwrap();
        backing_disk_among(&root, ["/dev/vdc"].into_iter()).unwrap_err();
    }
}
