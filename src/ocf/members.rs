//! The names of this cluster's nodes, from the files that its daemons keep here. Asks no daemon: one that hangs, or is down while a node
//! leaves, must not decide what belongs to whom.
//!
//! A remote node has neither file. There the list is empty, so nobody is a member as far as this can tell.

use std::collections::BTreeSet;
use std::net::IpAddr;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::kernel::attr::Root;

/// The CIB as Pacemaker last wrote it, and Corosync's configuration: directory, file, and what reads it.
const FILES: [(&str, &str, Parse); 2] =
    [("/var/lib/pacemaker/cib", "cib.xml", cib), ("/etc/corosync", "corosync.conf", |text| Ok(corosync(text)))];

type Parse = fn(&str) -> Result<BTreeSet<String>, quick_xml::Error>;

/// The nodes of this cluster by name, with remote and guest nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    names: BTreeSet<String>,
    /// The domain of this host's own name, if it has one.
    domain: Option<String>,
}

impl Members {
    /// Whether nothing is known of any node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether a node has this name, or the same one with or without its domain. Domains are that of this host and those that the
    /// nodes' names have: a host of the same name in another domain is another one.
    #[must_use]
    pub fn is_member(&self, name: &str) -> bool {
        self.names().any(|member| member.eq_ignore_ascii_case(name) || self.is_without_domain(member, name))
    }

    /// Whether one is the other without its domain. An address neither has nor is one.
    fn is_without_domain(&self, one: &str, other: &str) -> bool {
        let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
        let Some((host, domain)) = split(long) else { return false };
        let mut domains = self.names().filter_map(split).map(|(_, domain)| domain).chain(self.domain.as_deref());
        host.eq_ignore_ascii_case(short) && domains.any(|known| known.eq_ignore_ascii_case(domain))
    }
}

/// The nodes that `/var/lib/pacemaker/cib/cib.xml` or `/etc/corosync/corosync.conf` names. A file that is not there or can not be read
/// adds nothing but a warning in the log; one that is broken adds nothing either, for what follows the defect may be another cluster's.
#[must_use]
pub fn members(root: &Root) -> Members {
    let mut names = BTreeSet::new();
    for (dir, file, parse) in FILES {
        match root.dir(dir).read_opt(file) {
            Ok(Some(text)) => match parse(&text) {
                Ok(found) => names.extend(found),
                Err(e) => tracing::warn!("{dir}/{file} is broken: {e}"),
            },
            Ok(None) => tracing::debug!("{dir}/{file} is not there"),
            Err(e) => tracing::warn!("{e}"),
        }
    }
    if names.is_empty() {
        tracing::warn!("no cluster node is known: neither the CIB nor corosync.conf names any");
    }
    let hostname = root.dir("/proc/sys/kernel").read_opt("hostname").ok().flatten().unwrap_or_default();
    let domain = split(hostname.trim()).map(|(_, domain)| domain.to_owned());
    Members { names, domain }
}

/// Host and domain of a name that has both.
fn split(name: &str) -> Option<(&str, &str)> {
    let (host, domain) = name.split_once('.')?;
    (!host.is_empty() && !domain.is_empty() && name.parse::<IpAddr>().is_err()).then_some((host, domain))
}

/// `<node uname=…>` below `<nodes>`; connections to remote nodes, which are named like them; guest nodes.
fn cib(text: &str) -> Result<BTreeSet<String>, quick_xml::Error> {
    let mut names = BTreeSet::new();
    let mut reader = Reader::from_str(text);
    let mut depth = 0_u32;
    let mut nodes = None;
    loop {
        match reader.read_event()? {
            Event::Start(element) => {
                names.extend(node_name(&element, nodes.is_some_and(|at| depth == at))?);
                depth += 1;
                if element.name().as_ref() == b"nodes" {
                    nodes = nodes.or(Some(depth));
                }
            }
            Event::Empty(element) => names.extend(node_name(&element, nodes.is_some_and(|at| depth == at))?),
            Event::End(_) => {
                if nodes == Some(depth) {
                    nodes = None;
                }
                depth = depth.saturating_sub(1);
            }
            Event::Eof if depth > 0 => return Err(cut_short()),
            Event::Eof => break,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    Ok(names)
}

fn cut_short() -> quick_xml::Error {
    std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()
}

/// The node that this element of the CIB names, if it does.
fn node_name(element: &BytesStart, is_in_nodes: bool) -> Result<Option<String>, quick_xml::Error> {
    let get = |name: &str| -> Result<Option<String>, quick_xml::Error> {
        let attribute = element.try_get_attribute(name)?;
        attribute.map(|found| Ok(found.unescape_value()?.into_owned())).transpose()
    };
    Ok(match element.name().as_ref() {
        b"node" if is_in_nodes => get("uname")?,
        b"primitive" if get("type")?.as_deref() == Some("remote") && get("provider")?.as_deref() == Some("pacemaker") => {
            get("id")?
        }
        b"nvpair" if get("name")?.as_deref() == Some("remote-node") => get("value")?,
        _ => None,
    })
}

/// `node { … name: node1 … }` in `nodelist { … }` (corosync.conf(5)); a node without a name goes by its first address.
fn corosync(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut sections = Vec::new();
    let (mut name, mut address) = (None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(section) = line.strip_suffix('{') {
            sections.push(section.trim());
        } else if line == "}" {
            if sections == ["nodelist", "node"] {
                names.extend(name.take().or(address.take()));
                (name, address) = (None, None);
            }
            sections.pop();
        } else if sections == ["nodelist", "node"] {
            match line.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("name", value)) => name = Some(value.to_owned()),
                Some(("ring0_addr", value)) => address = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIB: &str = r#"<?xml version="1.0"?>
<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9">
  <configuration>
    <crm_config><node uname="not-a-node"/></crm_config>
    <nodes>
      <node id="1" uname="node1"><instance_attributes id="n"><nvpair id="x" name="standby" value="off"/></instance_attributes></node>
      <node id="2" uname="node&amp;2"/>
      <node id="r0" uname="r0" type="remote"/>
    </nodes>
    <resources>
      <primitive id="remote1" class="ocf" provider="pacemaker" type="remote"/>
      <primitive id="other" class="ocf" provider="heartbeat" type="remote"/>
      <primitive id="vm"><meta_attributes id="m"><nvpair id="g" name="remote-node" value="guest1"/></meta_attributes></primitive>
    </resources>
    <constraints><node uname="nor-this"/></constraints>
  </configuration>
  <status/>
</cib>"#;
    const COROSYNC: &str = "# name: nobody\ntotem {\n  cluster_name: c\n  interface {\n    name: no\n  }\n}\nnodelist {\n\
                            node {\n ring0_addr: 10.0.0.1\n name: node1.example.com\n nodeid: 1\n}\n\
                            node {\n ring0_addr: 10.0.0.2\n nodeid: 2\n }\n  # node {\n}\nquorum {\n name: x\n}\n";

    fn named(root: &Root) -> Vec<String> {
        members(root).names().map(str::to_owned).collect()
    }

    fn machine(cib: Option<&str>, corosync: Option<&str>) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        for ((dir, file, _), text) in FILES.iter().zip([cib, corosync]) {
            if let Some(text) = text {
                root.dir(dir).set(file, text).unwrap();
            }
        }
        (dir, root)
    }

    #[test]
    fn the_nodes_of_both_files_are_members_and_so_are_remote_and_guest_nodes() {
        let (_keep, root) = machine(Some(CIB), None);
        assert_eq!(named(&root), ["guest1", "node&2", "node1", "r0", "remote1"]);
        let (_keep, root) = machine(None, Some(COROSYNC));
        assert_eq!(named(&root), ["10.0.0.2", "node1.example.com"]);
        let (_keep, root) = machine(Some(CIB), Some(COROSYNC));
        assert_eq!(named(&root).len(), 7);
    }

    #[test]
    fn a_name_counts_with_and_without_its_domain_and_no_other_name_does() {
        let names = ["node1", "node2.example.com", "10.0.0.2"].map(str::to_owned).into();
        let members = Members { names, domain: None };
        for name in ["node1", "NODE1", "node1.example.com", "node2", "node2.Example.com", "10.0.0.2"] {
            assert!(members.is_member(name), "{name}");
        }
        for name in [
            "",
            "node",
            "node10",
            "node3",
            "node2.example.co",
            "node2.example",
            "node1.other.example",
            "node2.example.com2",
            "10.0.0.2.5",
            "10",
            "nodeä",
            ".",
            "n\u{f6}de1",
        ] {
            assert!(!members.is_member(name), "{name}");
        }
        assert!(!Members::default().is_member("node1"));
    }

    #[test]
    fn a_host_of_the_same_name_in_another_domain_is_another_one() {
        let (_keep, root) = machine(Some("<cib><nodes><node uname='san1'/><node uname='san2'/></nodes></cib>"), None);
        for (hostname, is_member) in [("san2\n", false), ("san2.example.com\n", true), ("san2.other.example\n", false)] {
            root.dir("/proc/sys/kernel").set("hostname", hostname).unwrap();
            assert_eq!(members(&root).is_member("san1.example.com"), is_member, "{hostname}");
            assert!(members(&root).is_member("san1"));
        }
    }

    #[test]
    fn without_files_or_with_broken_ones_nobody_is_a_member() {
        let (_keep, root) = machine(None, None);
        assert!(members(&root).is_empty());
        let (_keep, root) = machine(Some("<cib><nodes><node uname='a'/></cib>"), Some("nodelist"));
        assert!(members(&root).is_empty());
        let (_keep, root) = machine(Some(""), Some("nodelist {\n node {\n name: only1\n }\n"));
        assert_eq!(named(&root), ["only1"]);
    }

    #[test]
    fn a_file_that_ends_anywhere_is_read_without_a_panic_and_a_cib_cut_short_names_nobody() {
        let end = CIB.trim_end().len();
        for cut in 0..end {
            let found = cib(&CIB[..cut]).unwrap_or_default();
            assert!(found.is_empty(), "{cut}: {found:?}");
        }
        assert_eq!(cib(CIB).unwrap().len(), 5);
        for cut in 0..COROSYNC.len() {
            assert!(corosync(&COROSYNC[..cut]).len() <= 2, "{cut}");
        }
    }

    #[test]
    fn rubbish_is_no_cluster() {
        let mut seed = 1_u32;
        let alphabet: Vec<char> = "<>/&;=\"'{}: \n#nodeslitu\u{0}ä".chars().collect();
        for _ in 0..2000 {
            let text: String = (0..80)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    alphabet[seed as usize / 65_536 % alphabet.len()]
                })
                .collect();
            assert_eq!(cib(&text).unwrap_or_default(), BTreeSet::new(), "{text:?}");
            assert_eq!(corosync(&text), BTreeSet::new(), "{text:?}");
        }
    }
}
