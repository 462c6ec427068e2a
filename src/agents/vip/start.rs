//! Start: the link up, nobody else at the address, the address added and seen, then the network told. What a failed start added is taken
//! away again.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::look::look;
use super::record::Record;
use super::values::Broadcast;
use super::{Vip, missing};
use crate::deadline::Deadline;
use crate::kernel::error::KernelError;
use crate::kernel::net::address::{Address, FOREVER, NewAddress};
use crate::kernel::net::duplicate::{Asking, find_duplicate};
use crate::kernel::net::link::{Link, MAX_NAME};
use crate::kernel::net::netlink::Netlink;
use crate::kernel::net::{route, source_label};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::{Context, State};

/// `RTNLGRP_LINK` and `RTNLGRP_IPV6_IFADDR` (`linux/rtnetlink.h`).
pub const LINKS: u32 = 1;
const IPV6_ADDRESSES: u32 = 9;
/// How long to listen for news before looking again all the same.
const NEWS: Duration = Duration::from_millis(500);
/// How long IPv4 may look for another owner.
const PROBING: Duration = Duration::from_secs(2);

/// A start, with what it has changed so far.
pub struct Start<'a> {
    pub vip: &'a Vip,
    pub cx: &'a Context<'a>,
    pub ip: IpAddr,
    pub netlink: Netlink,
    undo: Undo,
}

/// What a failed start takes back.
#[derive(Default)]
struct Undo {
    /// The address, and the label that it has as a source.
    added: Option<(u32, u8)>,
    source_label: Option<u32>,
}

/// Where the address goes.
struct Place {
    link: Link,
    prefix: u8,
}

impl<'a> Start<'a> {
    /// A start in the network namespace that this thread is in.
    ///
    /// # Errors
    /// No netlink socket.
    pub fn new(vip: &'a Vip, cx: &'a Context<'a>, ip: IpAddr) -> Result<Self, OcfError> {
        Ok(Self { vip, cx, ip, netlink: Netlink::route()?, undo: Undo::default() })
    }

    /// Does it; the link that has the address now.
    ///
    /// # Errors
    /// Nothing of this start is left.
    pub fn run(mut self) -> Result<Link, OcfError> {
        self.bring().inspect_err(|_| {
            (self.cx.progress)("roll back");
            self.roll_back();
        })
    }

    fn bring(&mut self) -> Result<Link, OcfError> {
        let seen = look(&mut self.netlink, self.ip, &self.vip.expected(None))?;
        match seen.state {
            State::Partial(why) => return Err(OcfError::new(Code::Generic, why)),
            State::Failed(why) if seen.right.as_ref().is_some_and(|(address, _)| address.is_duplicate()) => {
                return Err(OcfError::new(Code::Generic, why));
            }
            _ => {}
        }
        let (place, was_there) = match seen.right {
            Some((address, link)) => (Place { prefix: address.prefix(), link: self.up(link)? }, true),
            None => (self.place()?, false),
        };
        (self.cx.progress)("wait for the carrier");
        let link = self.carrier(place.link)?;
        let prefix = place.prefix;
        if was_there {
            self.record(&link, prefix)?;
        } else {
            (self.cx.progress)("look for another owner");
            self.probe(&link)?;
            (self.cx.progress)("add the address");
            self.add(&link, prefix)?;
        }
        self.settle(&link, prefix)?;
        Ok(link)
    }

    /// The link and the prefix, from the parameters and, where those say nothing, from the routes. The link is up.
    fn place(&mut self) -> Result<Place, OcfError> {
        let link = match &self.vip.nic {
            Some(name) => {
                let link = Link::by_name(&mut self.netlink, name)?;
                let link = link.ok_or_else(|| missing("nic", format_args!("no {name} here")))?;
                // A link that is down has no routes.
                Some(self.up(link)?)
            }
            None => None,
        };
        let index = link.as_ref().map(|link| link.hw.index);
        let network = match (&link, self.vip.prefix) {
            (Some(_), Some(_)) => None,
            _ => route::network_of(&mut self.netlink, self.ip, index, self.vip.origin)?,
        };
        let link = match (link, network) {
            (Some(link), _) => Some(link),
            (None, Some(network)) => Link::by_index(&mut self.netlink, network.index)?,
            (None, None) => None,
        };
        let prefix = self.vip.prefix.or(network.map(|network| network.prefix));
        match (link, prefix) {
            (Some(link), Some(prefix)) => Ok(Place { link: self.up(link)?, prefix }),
            (link, _) => {
                let on = link.map(|link| format!(" on {}", link.name)).unwrap_or_default();
                let unknown = if on.is_empty() { "nic" } else { "cidr_netmask" };
                Err(missing(unknown, format_args!("not set, and no route{on} leads directly to the network of {}", self.ip)))
            }
        }
    }

    fn up(&mut self, link: Link) -> Result<Link, OcfError> {
        if link.is_up {
            return Ok(link);
        }
        link.set_up(&mut self.netlink, true)?;
        // It stays up, whatever becomes of this start: another address may be on its way to it.
        self.reread(link.hw.index)
    }

    fn reread(&mut self, index: u32) -> Result<Link, OcfError> {
        let link = Link::by_index(&mut self.netlink, index)?;
        link.ok_or_else(|| OcfError::new(Code::Generic, "nic: it has just gone"))
    }

    /// Waits until the link has a carrier, if that matters.
    fn carrier(&mut self, link: Link) -> Result<Link, OcfError> {
        let mut link = link;
        if link.is_loopback || link.trouble().is_none() || !self.vip.check_link {
            return Ok(link);
        }
        let (until, begun) = (self.cx.deadline.share(0.7).within(self.vip.carrier_wait), Instant::now());
        let mut news = Netlink::route()?;
        news.join(LINKS)?;
        loop {
            link = self.reread(link.hw.index)?;
            let Some(trouble) = link.trouble() else { return Ok(link) };
            if until.is_past() {
                let waited = begun.elapsed();
                let limit = if waited < self.vip.carrier_wait { "the start's time-out" } else { "carrier_wait" };
                let why = format!("{} {trouble}, also after {:.0} s ({limit})", link.name, waited.as_secs_f64());
                return Err(OcfError::new(Code::Generic, why));
            }
            listen(&mut news, until)?;
        }
    }

    /// Asks the network who else has the address. IPv6 does that in the kernel.
    fn probe(&mut self, link: &Link) -> Result<(), OcfError> {
        if !self.vip.run_arping || self.ip.is_ipv6() || !link.can_be_asked() {
            return Ok(());
        }
        let own = Link::addresses(&mut self.netlink)?;
        match find_duplicate(self.ip, &link.hw, &own, Asking::BeforeTakingIt, self.cx.deadline.within(PROBING))? {
            None => Ok(()),
            Some(other) => {
                let why = format!("{} is in use: {other} on the network of {} answers for it", self.ip, link.name);
                Err(OcfError::new(Code::Generic, why))
            }
        }
    }

    fn add(&mut self, link: &Link, prefix: u8) -> Result<(), OcfError> {
        let vip = self.vip;
        let label = vip.label.as_ref().filter(|_| self.ip.is_ipv4()).map(|label| format!("{}:{label}", link.name));
        if let Some(label) = label.as_ref().filter(|label| label.len() > MAX_NAME) {
            return Err(OcfError::new(Code::Args, format_args!("iflabel: {label} has more than {MAX_NAME} characters")));
        }
        let broadcast = match self.ip {
            IpAddr::V4(ip) => vip.broadcast.unwrap_or(Broadcast::Ones).of(ip, prefix),
            IpAddr::V6(_) => None,
        };
        let new = NewAddress {
            index: link.hw.index,
            ip: self.ip,
            prefix,
            broadcast,
            label,
            metric: vip.metric,
            preferred: if self.ip.is_ipv6() { vip.preferred } else { FOREVER },
            no_dad: vip.no_dad && self.ip.is_ipv6(),
            no_prefix_route: vip.no_prefix_route,
        };
        self.undo.added = Some((link.hw.index, prefix));
        self.record(link, prefix)?;
        if let (IpAddr::V6(ip), Some(label)) = (self.ip, vip.source_label) {
            let is_ours = self.earlier_label() == Some(label);
            match source_label::add(&mut self.netlink, ip, label) {
                // The administrator's.
                Ok(false) if !is_ours => {}
                Ok(_) => {
                    self.undo.source_label = Some(label);
                    self.record(link, prefix)?;
                }
                // The address serves without it.
                Err(e) => tracing::warn!("lvs_ipv6_addrlabel: {e}"),
            }
        }
        new.add(&mut self.netlink).map_err(|e| match e.errno() {
            Some(libc::EACCES) if self.ip.is_ipv6() => {
                missing("nic", format_args!("IPv6 is disabled on {0} (net.ipv6.conf.{0}.disable_ipv6)", link.name))
            }
            _ => e.into(),
        })
    }

    /// Writes down what is about to be there.
    fn record(&self, link: &Link, prefix: u8) -> Result<(), OcfError> {
        let source_label = self.undo.source_label.or(self.earlier_label());
        Record { source_label, ..self.vip.record(self.ip, link.hw.index, prefix) }.save(self.cx)
    }

    /// The label that an earlier start added and no stop has taken away.
    fn earlier_label(&self) -> Option<u32> {
        Record::load(self.cx).filter(|record| record.ip == self.ip)?.source_label
    }

    /// Waits until the kernel has found the address to be ours alone, and sees that it is there.
    fn settle(&mut self, link: &Link, prefix: u8) -> Result<(), OcfError> {
        let mut news = Netlink::route()?;
        if self.ip.is_ipv6() {
            (self.cx.progress)("duplicate address detection");
            news.join(IPV6_ADDRESSES)?;
        }
        let until = self.cx.deadline.share(0.7);
        loop {
            let found = Address::find(&mut self.netlink, self.ip)?;
            let address = found.iter().find(|address| address.index() == link.hw.index && address.prefix() == prefix);
            let address =
                address.ok_or_else(|| OcfError::new(Code::Generic, format_args!("{}: added, and not there", self.ip)))?;
            if address.is_duplicate() {
                let why = format!("{} is in use: another machine on the network of {} answers for it", self.ip, link.name);
                return Err(OcfError::new(Code::Generic, why));
            }
            if !address.is_tentative() || until.is_past() || link.trouble().is_some() {
                return Ok(());
            }
            listen(&mut news, until)?;
        }
    }

    fn roll_back(&mut self) {
        if let Err(e) = self.undo() {
            tracing::error!("roll back: {e}");
        }
    }

    fn undo(&mut self) -> Result<(), KernelError> {
        if let Some((index, prefix)) = self.undo.added {
            for address in Address::find(&mut self.netlink, self.ip)? {
                if (address.index(), address.prefix()) == (index, prefix) {
                    address.delete(&mut self.netlink)?;
                }
            }
        }
        if let (IpAddr::V6(ip), Some(label)) = (self.ip, self.undo.source_label) {
            source_label::delete(&mut self.netlink, ip, label)?;
        }
        if self.undo.added.is_some() {
            Record::forget(self.cx);
        }
        Ok(())
    }
}

/// Waits for news, at most [`NEWS`].
fn listen(news: &mut Netlink, until: Deadline) -> Result<(), OcfError> {
    Ok(news.listen(until.remaining().min(NEWS))?)
}
