//! What is there of the address: where it is, how it is, and what to type when that is not as it should be.

use std::net::IpAddr;

use crate::kernel::error::KernelError;
use crate::kernel::net::address::Address;
use crate::kernel::net::link::Link;
use crate::kernel::net::netlink::Netlink;
use crate::ocf::run::State;

/// How the address should be, as far as that is known.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The link that the parameter names.
    pub nic: Option<String>,
    /// The number of the link that the start put it on.
    pub index: Option<u32>,
    /// How many bits are the network's.
    pub prefix: Option<u8>,
    /// The label without the link's name in front.
    pub label: Option<String>,
    /// Whether a link without carrier is a failure.
    pub check_link: bool,
    /// The network namespace, for what to type.
    pub namespace: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Seen {
    /// What that comes to.
    pub state: State,
    /// The address as it should be, if it is there, and its link.
    pub right: Option<(Address, Link)>,
}

impl Seen {
    fn new(state: State) -> Self {
        Self { state, right: None }
    }
}

/// Looks for `ip` in this network namespace.
///
/// # Errors
/// The kernel can not be asked, or its answer not be read.
pub fn look(netlink: &mut Netlink, ip: IpAddr, expected: &Expected) -> Result<Seen, KernelError> {
    let found = find(netlink, ip, expected.index, expected.nic.as_deref())?;
    let Some(first) = found.first() else { return Ok(Seen::new(State::Stopped)) };
    let link = match (&expected.nic, expected.index) {
        (Some(name), _) => Link::by_name(netlink, name)?,
        // A link that has gone since is no measure for the one that has the address now.
        (None, Some(index)) => {
            Link::by_index(netlink, index)?.map_or_else(|| Link::by_index(netlink, first.index()), |link| Ok(Some(link)))?
        }
        (None, None) => Link::by_index(netlink, first.index())?,
    };
    let fits = |a: &Address, link: &Link| a.index() == link.hw.index && expected.prefix.is_none_or(|prefix| prefix == a.prefix());
    let right = link.as_ref().and_then(|link| found.iter().find(|address| fits(address, link)));
    let wrong = found.iter().find(|address| right != Some(*address));
    let wrong = wrong.map(|wrong| (wrong, name_of(netlink, wrong.index())));
    let (Some(address), Some(link)) = (right, &link) else {
        // Every address that was found is wrong, and there is one.
        let Some((wrong, on)) = wrong else { return Ok(Seen::new(State::Stopped)) };
        let prefix = expected.prefix.map(|prefix| format!("/{prefix}")).unwrap_or_default();
        let nic = expected.nic.as_deref().or(link.as_ref().map(|l| l.name.as_str())).unwrap_or_default();
        let why = format!("{wrong} is on {on}, expected only {ip}{prefix} on {nic}: {}", removal(expected, wrong, &on));
        return Ok(Seen::new(State::Partial(why)));
    };
    let state = match (state(address, link, expected), wrong) {
        // It serves.
        (State::Running, Some((wrong, on))) => {
            State::Degraded(format!("{address} on {}, and {wrong} on {on} too: {}", link.name, removal(expected, wrong, &on)))
        }
        (state, _) => state,
    };
    Ok(Seen { state, right: Some((address.clone(), link.clone())) })
}

/// The state of an address that is where it should be.
fn state(address: &Address, link: &Link, expected: &Expected) -> State {
    let wanted = expected.label.as_ref().filter(|_| address.ip.is_ipv4()).map(|label| format!("{}:{label}", link.name));
    if let Some(wanted) = wanted.filter(|wanted| address.label() != Some(wanted)) {
        let label = address.label().unwrap_or_default();
        let removal = removal(expected, address, &link.name);
        return State::Partial(format!("{address} on {} has the label {label}, expected {wanted}: {removal}", link.name));
    }
    if let Some(trouble) = link.trouble().filter(|_| expected.check_link && !link.is_loopback) {
        return State::Failed(format!("{} {trouble}", link.name));
    }
    if address.is_duplicate() {
        let name = &link.name;
        return State::Failed(format!(
            "another machine on the network of {name} has {}: duplicate address detection failed",
            address.ip
        ));
    }
    if address.is_tentative() {
        return State::Degraded(format!("{} on {}: duplicate address detection has not ended", address.ip, link.name));
    }
    State::Running
}

/// Where `ip` is. A link-local address is only looked for on its own link, by the number that the start noted or else by name: each link
/// can have the same one.
///
/// # Errors
/// The kernel can not be asked, or its answer not be read.
pub fn find(netlink: &mut Netlink, ip: IpAddr, index: Option<u32>, nic: Option<&str>) -> Result<Vec<Address>, KernelError> {
    let mut found = Address::find(netlink, ip)?;
    if !is_link_local(ip) || found.is_empty() {
        return Ok(found);
    }
    let own = match (index, nic) {
        (Some(index), _) => Some(index),
        (None, Some(nic)) => Some(Link::by_name(netlink, nic)?.map_or(0, |link| link.hw.index)),
        (None, None) => None,
    };
    found.retain(|address| own.is_none_or(|own| own == address.index()));
    Ok(found)
}

/// Whether each link can have the same one.
#[must_use]
pub fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// The name of a link by its number, for a human; the number when it can not be told.
pub fn name_of(netlink: &mut Netlink, index: u32) -> String {
    Link::by_index(netlink, index).ok().flatten().map_or_else(|| format!("nic {index}"), |link| link.name)
}

/// The command that takes the address away.
fn removal(expected: &Expected, address: &Address, on: &str) -> String {
    let namespace = expected.namespace.as_ref().map(|name| format!("-n {name} ")).unwrap_or_default();
    format!("ip {namespace}address del {address} dev {on}")
}
