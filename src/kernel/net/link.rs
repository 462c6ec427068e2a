//! Network links ("nics"): which there are, how they are, and bringing them up.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBondPort, InfoKind, InfoPortData, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, MiiStatus, State,
};

use super::hw::{HwAddr, HwLink};
use super::netlink::{Netlink, Replies};
use crate::kernel::error::{KernelError, Result};

/// The longest name that `IFLA_IFNAME` holds (`IFNAMSIZ` without the final zero); longer ones can only be alternative names.
pub const MAX_NAME: usize = 15;
/// `IFLA_ALT_IFNAME` (`linux/if_link.h`).
const ALT_NAME: u16 = 53;

/// A link as the kernel last described it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four flags of the kernel")]
pub struct Link {
    /// Its own name, whatever name it was asked for by.
    pub name: String,
    /// Its number and hardware addresses.
    pub hw: HwLink,
    /// Whether the administrator has it up (`IFF_UP`).
    pub is_up: bool,
    /// Whether it is the loopback link.
    pub is_loopback: bool,
    /// Whether nobody asks for hardware addresses on it (`IFF_NOARP`).
    pub has_no_arp: bool,
    /// Whether it is a bond of others.
    pub is_bond: bool,
    /// The link that it stands on, such as that of a VLAN.
    pub lower: Option<u32>,
    /// What the kernel makes of the cable and everything below (`IFLA_OPERSTATE`).
    state: Option<State>,
    /// Whether there is a carrier (`IFLA_CARRIER`).
    carrier: Option<bool>,
}

/// A link that is part of a bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slave {
    /// Its name.
    pub name: String,
    /// Whether the bond takes it for usable.
    pub is_up: bool,
}

impl Link {
    /// The link of this name, which may be an alternative one; `None` when there is none.
    ///
    /// # Errors
    /// The kernel can not be asked, or its answer not be read.
    pub fn by_name(netlink: &mut Netlink, name: &str) -> Result<Option<Self>> {
        let attribute = if name.len() <= MAX_NAME {
            LinkAttribute::IfName(name.to_owned())
        } else {
            LinkAttribute::Other(DefaultNla::new(ALT_NAME, [name.as_bytes(), &[0]].concat()))
        };
        Self::get(netlink, 0, Some(attribute), name)
    }

    /// The link with this number; `None` when there is none.
    ///
    /// # Errors
    /// As [`Link::by_name`].
    pub fn by_index(netlink: &mut Netlink, index: u32) -> Result<Option<Self>> {
        Self::get(netlink, index, None, &format!("nic {index}"))
    }

    fn get(netlink: &mut Netlink, index: u32, by: Option<LinkAttribute>, what: &str) -> Result<Option<Self>> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        request.attributes.extend(by);
        let replies = match netlink.call(RouteNetlinkMessage::GetLink(request), 0, "look up", what) {
            Ok(replies) => replies,
            Err(e) if matches!(e.errno(), Some(libc::ENODEV | libc::EINVAL)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let link = links(&replies).next().map(Self::of);
        match (link, replies.unread) {
            (Some(link), _) => Ok(Some(link)),
            (None, why) => {
                let why = why.unwrap_or_else(|| "no answer".to_owned());
                Err(KernelError::new("look up", what, std::io::Error::other(why)))
            }
        }
    }

    /// The hardware addresses of all links of this network namespace.
    ///
    /// # Errors
    /// The kernel can not be asked.
    pub fn addresses(netlink: &mut Netlink) -> Result<Vec<HwAddr>> {
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let replies = netlink.dump(&RouteNetlinkMessage::GetLink(request), "links")?;
        Ok(links(&replies).map(|message| Self::of(message).hw.address).collect())
    }

    fn of(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            name: String::new(),
            hw: HwLink {
                index: message.header.index,
                kind: message.header.link_layer_type.into(),
                address: HwAddr::default(),
                broadcast: HwAddr::default(),
            },
            is_up: flags.contains(LinkFlags::Up),
            is_loopback: flags.contains(LinkFlags::Loopback),
            has_no_arp: flags.contains(LinkFlags::Noarp),
            is_bond: false,
            lower: None,
            state: None,
            carrier: None,
        };
        let is_abroad = message.attributes.iter().any(|a| matches!(a, LinkAttribute::LinkNetNsId(_)));
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(bytes) => link.hw.address = HwAddr(bytes.clone()),
                LinkAttribute::Broadcast(bytes) => link.hw.broadcast = HwAddr(bytes.clone()),
                LinkAttribute::OperState(state) => link.state = Some(*state),
                LinkAttribute::Carrier(carrier) => link.carrier = Some(*carrier != 0),
                // That of a veth may be in another namespace, where the number means another link.
                LinkAttribute::Link(index) => link.lower = Some(*index).filter(|_| !is_abroad),
                LinkAttribute::LinkInfo(infos) => link.is_bond = infos.contains(&LinkInfo::Kind(InfoKind::Bond)),
                _ => {}
            }
        }
        link
    }

    /// Why nothing can be reached over it, if so: "is down", "has no carrier".
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        match self.state {
            _ if !self.is_up => Some("is down"),
            _ if self.carrier == Some(false) => Some("has no carrier"),
            Some(State::Down | State::NotPresent) => Some("has no carrier"),
            Some(State::LowerLayerDown) => Some("stands on a link that is down"),
            _ => None,
        }
    }

    /// Whether there can be others on it who answer for an address.
    #[must_use]
    pub fn can_be_asked(&self) -> bool {
        !self.is_loopback && !self.has_no_arp && self.hw.can_announce()
    }

    /// Brings it up, or down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_up(&self, netlink: &mut Netlink, is_up: bool) -> Result<()> {
        let mut request = LinkMessage::default();
        request.header.index = self.hw.index;
        request.header.change_mask = LinkFlags::Up;
        request.header.flags = if is_up { LinkFlags::Up } else { LinkFlags::empty() };
        let doing = if is_up { "bring up" } else { "bring down" };
        netlink.call::<_, RouteNetlinkMessage>(RouteNetlinkMessage::SetLink(request), 0, doing, &self.name).map(drop)
    }

    /// The links that it is a bond of; empty when it is none.
    ///
    /// # Errors
    /// The kernel can not be asked.
    pub fn slaves(&self, netlink: &mut Netlink) -> Result<Vec<Slave>> {
        if !self.is_bond {
            return Ok(Vec::new());
        }
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        request.attributes.push(LinkAttribute::Controller(self.hw.index));
        let replies = netlink.dump(&RouteNetlinkMessage::GetLink(request), format_args!("slaves of {}", self.name))?;
        let is_ours = |m: &&LinkMessage| m.attributes.contains(&LinkAttribute::Controller(self.hw.index));
        Ok(links(&replies).filter(is_ours).map(slave).collect())
    }
}

fn slave(message: &LinkMessage) -> Slave {
    let link = Link::of(message);
    let infos = message.attributes.iter().filter_map(|a| if let LinkAttribute::LinkInfo(infos) = a { Some(infos) } else { None });
    let ports =
        infos.flatten().filter_map(|i| if let LinkInfo::PortData(InfoPortData::BondPort(port)) = i { Some(port) } else { None });
    let status = ports.flatten().find_map(|p| if let InfoBondPort::MiiStatus(status) = p { Some(*status) } else { None });
    let is_up = status.map_or(link.trouble().is_none(), |status| status == MiiStatus::Up);
    Slave { name: link.name, is_up }
}

fn links(replies: &Replies<RouteNetlinkMessage>) -> impl Iterator<Item = &LinkMessage> {
    replies.items.iter().filter_map(|item| if let RouteNetlinkMessage::NewLink(link) = item { Some(link) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_link_is_found_by_name_and_number_and_others_are_not_there() {
        let mut netlink = Netlink::route().unwrap();
        let lo = Link::by_name(&mut netlink, "lo").unwrap().unwrap();
        assert!(lo.is_loopback && lo.hw.index == 1 && !lo.is_bond && lo.slaves(&mut netlink).unwrap().is_empty());
        assert_eq!(Link::by_index(&mut netlink, 1).unwrap().unwrap().name, "lo");
        for none in ["nosuchnic", "a name that is longer than fifteen bytes"] {
            assert_eq!(Link::by_name(&mut netlink, none).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn a_link_without_cable_is_in_trouble_and_one_that_can_not_tell_is_not() {
        let link = |up, state, carrier| {
            let mut message = LinkMessage::default();
            message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
            message.attributes = vec![LinkAttribute::OperState(state), LinkAttribute::Carrier(carrier)];
            Link::of(&message).trouble()
        };
        assert_eq!(link(true, State::Up, 1), None);
        assert_eq!(link(true, State::Unknown, 1), None, "dummy and many virtual links");
        assert_eq!(link(true, State::Down, 0), Some("has no carrier"));
        assert_eq!(link(true, State::LowerLayerDown, 1), Some("stands on a link that is down"));
        assert_eq!(link(false, State::Down, 0), Some("is down"));
    }
}
