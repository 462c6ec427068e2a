//! Stop: the address taken away, wherever it is and with whatever prefix, and then the connections that it leaves behind. Its siblings on
//! the link stay.

use std::net::IpAddr;
use std::time::Duration;

use super::look::name_of;
use crate::kernel::error::KernelError;
use crate::kernel::net::address::Address;
use crate::kernel::net::netlink::Netlink;
use crate::kernel::net::{connection, route, source_label};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long a stop waits until the list of connections is written.
pub const SAVING: Duration = Duration::from_secs(1);

/// Removes `ip` from this network namespace.
///
/// # Errors
/// It is still there.
pub fn remove(cx: &Context, ip: IpAddr, label: Option<u32>) -> Result<(), OcfError> {
    let mut netlink = Netlink::route()?;
    let mut failure = None;
    for address in Address::find(&mut netlink, ip)? {
        if let Err(e) = remove_one(cx, &mut netlink, &address) {
            failure = Some(e);
        }
    }
    // That it is gone counts, not what was said on the way.
    if let Some(address) = Address::find(&mut netlink, ip)?.first() {
        let on = name_of(&mut netlink, address.index())?;
        let error = failure.map_or_else(|| OcfError::new(Code::Generic, "it came back"), OcfError::from);
        return Err(error.context(format_args!("{address} is still on {on}")));
    }
    if let (IpAddr::V6(ip), Some(label)) = (ip, label) {
        if let Err(e) = source_label::delete(&mut netlink, ip, label) {
            tracing::warn!("{e}");
        }
    }
    // With the address gone no packet leaves: the peers wait for the other node, and do not come back to this one.
    match connection::destroy(ip) {
        Ok(0) => {}
        Ok(n) => tracing::info!("{n} connections of {ip} dropped"),
        Err(e) => tracing::warn!("connections of {ip} stay until they time out: {e}"),
    }
    Ok(())
}

fn remove_one(cx: &Context, netlink: &mut Netlink, address: &Address) -> Result<(), KernelError> {
    let on = name_of(netlink, address.index())?;
    tracing::info!("{address} is removed from {on}");
    (cx.progress)("remove the address");
    let siblings = siblings(netlink, address)?;
    if siblings.is_empty() {
        return address.delete(netlink).map(drop);
    }
    // Without this the kernel takes the secondary addresses of the network along with their primary one.
    let settings = cx.root.dir("/proc/sys/net/ipv4/conf").dir(&on);
    let was_off = settings.read("promote_secondaries").is_ok_and(|text| text == "0");
    let is_changed = was_off && settings.set("promote_secondaries", "1").is_ok();
    let deleted = address.delete(netlink);
    if is_changed {
        if let Err(e) = settings.set("promote_secondaries", "0") {
            tracing::warn!("{e}");
        }
    }
    deleted?;
    restore(netlink, &siblings)
}

/// The secondary addresses that live by this one.
fn siblings(netlink: &mut Netlink, address: &Address) -> Result<Vec<Address>, KernelError> {
    if address.ip.is_ipv6() || address.is_secondary() {
        return Ok(Vec::new());
    }
    let (all, _) = Address::list(netlink, address.ip)?;
    let is_sibling = |a: &Address| {
        let same_network = a.prefix() == address.prefix() && route::contains(address.ip, address.prefix(), a.ip);
        a.index() == address.index() && a.is_secondary() && same_network
    };
    Ok(all.into_iter().filter(is_sibling).collect())
}

/// Adds again what has gone with the primary address all the same.
fn restore(netlink: &mut Netlink, siblings: &[Address]) -> Result<(), KernelError> {
    for sibling in siblings {
        let is_there = Address::find(netlink, sibling.ip)?.iter().any(|a| a.index() == sibling.index());
        if !is_there {
            tracing::warn!("{sibling} went with its primary address and is added again");
            sibling.restore(netlink)?;
        }
    }
    Ok(())
}
