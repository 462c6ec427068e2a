//! How well an address does that is where it should be.

use std::net::IpAddr;
use std::time::Duration;

use super::background::Background;
use super::start::LINKS;
use super::{announce, connections};
use crate::kernel::error::KernelError;
use crate::kernel::net::duplicate::{Asking, find_duplicate};
use crate::kernel::net::link::Link;
use crate::kernel::net::netlink::Netlink;
use crate::ocf::run::Context;

/// How long a deep monitor looks for another owner.
const PROBING: Duration = Duration::from_secs(2);
/// How long a link may be without a carrier before that counts.
const RECOVERY: Duration = Duration::from_secs(2);

/// What is worth a look although the address serves: a bond, or one below a VLAN, that has lost a link; a background process that failed.
/// That a link can not be looked at is logged: the address was found to be right.
#[must_use]
pub fn doubt(cx: &Context, link: &Link) -> Option<String> {
    let lost = lost_slave(link).unwrap_or_else(|e| {
        tracing::warn!("{e}");
        None
    });
    lost.or_else(|| [announce::background(cx), connections::saver(cx)].iter().find_map(Background::failure))
        .or_else(|| connections::hang(cx))
}

/// Whether a link that is in trouble gets over it within two seconds: a port that negotiates anew, a bond that changes over.
pub fn recovers(cx: &Context, link: &Link) -> bool {
    let until = cx.deadline.share(0.3).within(RECOVERY);
    let look = || -> Result<bool, KernelError> {
        let mut netlink = Netlink::route()?;
        let mut news = Netlink::route()?;
        news.join(LINKS)?;
        loop {
            match Link::by_index(&mut netlink, link.hw.index)? {
                Some(link) if link.trouble().is_none() => return Ok(true),
                Some(_) if !until.is_past() => news.listen(until.remaining())?,
                _ => return Ok(false),
            }
        }
    };
    link.is_up && look().unwrap_or(false)
}

fn lost_slave(link: &Link) -> Result<Option<String>, KernelError> {
    let below = match link.lower.filter(|_| !link.is_bond && !link.is_loopback) {
        Some(index) => Link::by_index(&mut Netlink::route()?, index)?,
        None => None,
    };
    let Some(bond) = [Some(link), below.as_ref()].into_iter().flatten().find(|link| link.is_bond) else { return Ok(None) };
    let down = bond.slaves(&mut Netlink::route()?)?.into_iter().find(|slave| !slave.is_up);
    Ok(down.map(|slave| format!("{} of {} is down", slave.name, bond.name)))
}

/// Which other machine has the address too, if one answers. That the network can not be asked is logged: it is no failure of the
/// address.
#[must_use]
pub fn duplicate(cx: &Context, ip: IpAddr, link: &Link) -> Option<String> {
    if !link.can_be_asked() {
        return None;
    }
    let ask = || {
        let own = Link::addresses(&mut Netlink::route()?)?;
        find_duplicate(ip, &link.hw, &own, Asking::WhileHavingIt, cx.deadline.share(0.5).within(PROBING))
    };
    match ask() {
        Ok(other) => other.map(|other| format!("{other} on the network of {} answers for {ip} too", link.name)),
        Err(e) => {
            tracing::warn!("{e}");
            None
        }
    }
}
