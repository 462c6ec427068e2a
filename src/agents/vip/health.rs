//! How well an address does that is where it should be.

use std::net::IpAddr;
use std::time::Duration;

use super::background::Background;
use super::{announce, connections};
use crate::kernel::net::duplicate::find_duplicate;
use crate::kernel::net::link::Link;
use crate::kernel::net::netlink::Netlink;
use crate::ocf::error::OcfError;
use crate::ocf::run::Context;

/// How long a deep monitor looks for another owner.
const PROBING: Duration = Duration::from_secs(2);

/// What is worth a look although the address serves: a bond, or one below a VLAN, that has lost a link; a background process that failed.
///
/// # Errors
/// The kernel can not be asked.
pub fn doubt(cx: &Context, link: &Link) -> Result<Option<String>, OcfError> {
    let below = match link.lower.filter(|_| !link.is_bond && !link.is_loopback) {
        Some(index) => Link::by_index(&mut Netlink::route()?, index)?,
        None => None,
    };
    let bond = if link.is_bond { Some(link) } else { below.as_ref().filter(|link| link.is_bond) };
    if let Some(bond) = bond {
        if let Some(slave) = bond.slaves(&mut Netlink::route()?)?.into_iter().find(|slave| !slave.is_up) {
            return Ok(Some(format!("{} of {} is down", slave.name, bond.name)));
        }
    }
    let all = [announce::background(cx), connections::saver(cx), connections::waker(cx)];
    Ok(all.iter().find_map(Background::failure))
}

/// Which other machine has the address too, if one answers.
///
/// # Errors
/// The network can not be asked.
pub fn duplicate(cx: &Context, ip: IpAddr, link: &Link) -> Result<Option<String>, OcfError> {
    if !link.can_be_asked() {
        return Ok(None);
    }
    let own = Link::addresses(&mut Netlink::route()?)?;
    let other = find_duplicate(ip, &link.hw, &own, cx.deadline.share(0.5).within(PROBING))?;
    Ok(other.map(|other| format!("{other} on the network of {} answers for {ip} too", link.name)))
}
