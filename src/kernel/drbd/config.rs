//! The configuration of a resource, as `drbdadm dump-xml` prints it: hosts with their volumes and addresses, options and handlers.
//!
//! drbdadm only parses files for that and asks the module nothing but its version; but it fails while an address of this host is missing.

use std::collections::BTreeMap;
use std::io;

use super::super::attr::Root;
use super::super::error::{KernelError, Result};
use super::super::exec::Tool;
use super::super::xml::Element;
use crate::deadline::Deadline;

/// A resource as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The file and line that it begins at.
    pub place: Option<String>,
    /// Its hosts, in the order of the file.
    pub hosts: Vec<Host>,
    /// The options by section and name; a flag without a value is `yes`. What the resource sets comes before what `common` does.
    options: BTreeMap<(String, String), String>,
}

/// A host of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Its names: one as a rule.
    pub names: Vec<String>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// Its address; `None` where each connection has its own.
    pub address: Option<Address>,
}

/// A volume on one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// Its number.
    pub number: u32,
    /// Its minor.
    pub minor: Option<u32>,
    /// `/dev/drbd10`.
    pub device: Option<String>,
    /// The disk below; `None` when it has none on that host.
    pub disk: Option<String>,
    /// Where its meta-data is: `internal`, or a device.
    pub meta_disk: Option<String>,
}

/// An address with its port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// `ipv4`, `ipv6`, …
    pub family: String,
    /// The address itself.
    pub ip: String,
    /// The port.
    pub port: u16,
}

impl Config {
    /// Asks drbdadm. `file` is the configuration to read, where that is not the usual one.
    ///
    /// # Errors
    /// drbdadm is not installed or refuses the configuration.
    pub fn of(root: &Root, resource: &str, file: Option<&str>, deadline: Deadline) -> Result<Self> {
        let tool = Tool::find(root, "drbdadm")?;
        let file = file.map(|file| ["--config-file", file]);
        // Of one resource it does not print what is common to all.
        let args: Vec<_> = file.iter().flatten().copied().chain(["dump-xml"]).collect();
        let text = tool.ok(&args, deadline)?;
        let parsed = Self::parse(&text, resource);
        parsed.map_err(|e| KernelError::new("understand", tool.program().join("dump-xml"), e))
    }

    /// The resource `name` in what drbdadm printed.
    ///
    /// # Errors
    /// That is no configuration, or has no such resource.
    pub fn parse(text: &str, name: &str) -> io::Result<Self> {
        let root = Element::parse(text)?;
        // Of one resource it prints just that, of all a `config` around them.
        let mut all = [&root].into_iter().chain(root.all("resource")).filter(|e| e.name == "resource");
        let resource = all.find(|resource| resource.get("name") == Some(name)).ok_or(io::ErrorKind::NotFound)?;
        let mut config = Self {
            name: name.to_owned(),
            place: resource.get("conf-file-line").map(str::to_owned),
            hosts: resource.all("host").map(host).collect(),
            options: BTreeMap::new(),
        };
        for whose in [Some(resource), root.first("common")].into_iter().flatten() {
            config.add_options(whose);
        }
        for section in resource.walk().filter(|e| e.name == "connection") {
            config.add_addresses(section);
        }
        Ok(config)
    }

    fn add_options(&mut self, whose: &Element) {
        for section in whose.all("section") {
            let section_name = section.get("name").unwrap_or_default();
            for option in section.all("option") {
                let key = (section_name.to_owned(), option.get("name").unwrap_or_default().to_owned());
                self.options.entry(key).or_insert_with(|| option.get("value").unwrap_or("yes").to_owned());
            }
        }
    }

    /// DRBD 9 has the addresses in connections, or in the paths of these; the first of a host is taken.
    fn add_addresses(&mut self, connection: &Element) {
        for named in connection.walk().filter(|e| e.name == "host") {
            let (name, found) = (named.get("name").unwrap_or_default(), address(named));
            if let Some(host) = self.hosts.iter_mut().find(|host| host.address.is_none() && host.is_called(name)) {
                host.address = found;
            }
        }
    }

    /// An option, `fencing` of `net` for example.
    #[must_use]
    pub fn option(&self, section: &str, name: &str) -> Option<&str> {
        self.options.get(&(section.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// The fencing policy: an option of the disk on 8.4, of the network on 9.
    #[must_use]
    pub fn fencing(&self) -> Option<&str> {
        self.option("net", "fencing").or_else(|| self.option("disk", "fencing"))
    }

    /// The command line of a handler.
    #[must_use]
    pub fn handler(&self, name: &str) -> Option<&str> {
        self.option("handlers", name)
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.is_called(name))
    }
}

impl Host {
    /// Whether this is one of its names.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// The volumes with their minors.
    pub fn minors(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.volumes.iter().filter_map(|volume| Some((volume.number, volume.minor?)))
    }
}

fn host(element: &Element) -> Host {
    let names = element.get("name").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    Host { names, volumes: element.all("volume").filter_map(volume).collect(), address: address(element) }
}

fn volume(element: &Element) -> Option<Volume> {
    let text = |name| element.first(name).map(|e| e.text.clone()).filter(|text| !text.is_empty());
    Some(Volume {
        number: element.get("vnr")?.parse().ok()?,
        minor: element.first("device").and_then(|e| e.get("minor")?.parse().ok()),
        device: text("device"),
        disk: text("disk").filter(|disk| disk != "none"),
        meta_disk: text("meta-disk"),
    })
}

fn address(host: &Element) -> Option<Address> {
    let element = host.first("address")?;
    Some(Address {
        family: element.get("family").unwrap_or("ipv4").to_owned(),
        ip: element.text.clone(),
        port: element.get("port")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V84: &str = include_str!("../../../tests/fixtures/drbd-config/v84-all.xml");
    const V84_ONE: &str = include_str!("../../../tests/fixtures/drbd-config/v84-r0.xml");
    const V9: &str = include_str!("../../../tests/fixtures/drbd-config/v9-all.xml");

    #[test]
    fn a_configuration_of_8_4_is_read_alone_and_among_others() {
        for text in [V84, V84_ONE] {
            let config = Config::parse(text, "r0").unwrap();
            assert_eq!(config.place.as_deref(), Some("/etc/drbd.d/r0.res:1"));
            let node2 = config.host("node2").unwrap();
            assert_eq!(node2.minors().collect::<Vec<_>>(), [(0, 0), (1, 11)]);
            let second = Volume {
                number: 1,
                minor: Some(11),
                device: Some("/dev/drbd11".into()),
                disk: Some("/dev/vgd/b".into()),
                meta_disk: Some("internal".into()),
            };
            assert_eq!(node2.volumes[1], second);
            assert_eq!(node2.address, Some(Address { family: "ipv4".into(), ip: "10.110.89.12".into(), port: 7788 }));
            assert_eq!(config.fencing(), Some("resource-and-stonith"));
            assert_eq!(config.handler("fence-peer"), Some("/usr/lib/drbd/crm-fence-peer.sh"));
            assert_eq!((config.handler("split-brain"), config.host("node3")), (None, None));
        }
    }

    #[test]
    fn a_configuration_of_9_has_common_options_hosts_without_a_disk_and_fencing_in_net() {
        let config = Config::parse(V9, "r9").unwrap();
        let names: Vec<_> = config.hosts.iter().flat_map(|host| &host.names).collect();
        assert_eq!(names, ["node1", "node2", "node3"]);
        assert_eq!(config.host("node3").unwrap().volumes[0].disk, None);
        assert_eq!((config.fencing(), config.option("net", "max-buffers")), (Some("resource-and-stonith"), Some("8000")));
        assert_eq!(config.handler("quorum-lost"), Some("/usr/sbin/ocf-san drbd handler quorum-lost"));
    }

    #[test]
    fn addresses_may_stand_in_connections_only_and_a_resource_goes_before_common() {
        let text = r#"<config><common><section name="net"><option name="a" value="1"/><option name="b" value="1"/></section></common>
            <resource name="r"><host name="x alias"><volume vnr="0"><device minor="1048575"/></volume><volume vnr="?"/></host>
            <connection><path><host name="x"><address family="ipv6" port="7000">fe80::1</address></host></path></connection>
            <section name="net"><option name="a" value="2"/><option name="flag"/></section></resource></config>"#;
        let config = Config::parse(text, "r").unwrap();
        let host = config.host("alias").unwrap();
        assert_eq!(host.address.as_ref().map(|a| (a.ip.as_str(), a.port)), Some(("fe80::1", 7000)));
        assert_eq!(host.minors().collect::<Vec<_>>(), [(0, 1_048_575)]);
        assert_eq!(
            [config.option("net", "a"), config.option("net", "b"), config.option("net", "flag")],
            [Some("2"), Some("1"), Some("yes")]
        );
    }

    #[test]
    fn a_resource_that_is_not_there_is_not_found_and_a_part_of_a_dump_is_none() {
        assert_eq!(Config::parse(V84, "r1").unwrap_err().kind(), io::ErrorKind::NotFound);
        for end in (0..V84.trim_end().len()).step_by(7) {
            assert!(Config::parse(&V84[..end], "r0").is_err(), "{end}");
        }
    }
}
