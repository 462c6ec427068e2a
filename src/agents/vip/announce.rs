//! Telling the network where the address is now: when, how often, and for as long as it is true.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::background::{Background, Report, Started};
use crate::kernel::error::KernelError;
use crate::kernel::net::address::Address;
use crate::kernel::net::announce::{Announcer, Form};
use crate::kernel::net::link::Link;
use crate::kernel::net::netlink::Netlink;
use crate::ocf::error::OcfError;
use crate::ocf::run::Context;

/// When a start announces once more, for whoever missed the first time, such as a switch whose port was not forwarding yet.
const SECOND_BURST: Duration = Duration::from_secs(5);

/// How to announce.
#[derive(Debug, Clone, Copy)]
pub struct Announcing {
    /// From one announcement to the next.
    pub interval: Duration,
    /// How many make a burst after a start.
    pub count: u32,
    /// How many go with each monitor.
    pub refresh: u32,
    /// Whether a start waits for its first burst.
    pub is_waited_for: bool,
    /// Requests, replies or both.
    pub form: Form,
}

impl Announcing {
    /// Begins to announce after a start, and waits for the first burst where that is asked for.
    ///
    /// # Errors
    /// No further process.
    pub fn after_start(&self, cx: &Context, ip: IpAddr, link: &Link) -> Result<(), OcfError> {
        let now = Instant::now();
        let first = self.burst(self.count, now);
        let last = first.last().copied().unwrap_or(now);
        let second = self.burst(self.count, (now + SECOND_BURST).max(last + self.interval));
        if let Some(started) = self.begin(cx, ip, link, first, second)? {
            if self.is_waited_for && !started.is_done_by(cx.deadline.share(0.7)) {
                tracing::warn!("{ip}: the first announcements are still being sent");
            }
        }
        Ok(())
    }

    /// Begins to announce `count` times, unless that is still going on.
    ///
    /// # Errors
    /// No further process.
    pub fn again(&self, cx: &Context, ip: IpAddr, link: &Link, count: u32) -> Result<(), OcfError> {
        if count > 0 && background(cx).alive().is_none() {
            self.begin(cx, ip, link, self.burst(count, Instant::now()), Vec::new())?;
        }
        Ok(())
    }

    /// The first at once, the others one interval apart.
    fn burst(&self, count: u32, begins: Instant) -> Vec<Instant> {
        (0..count).map(|n| begins + self.interval * n).collect()
    }

    fn begin(
        &self,
        cx: &Context,
        ip: IpAddr,
        link: &Link,
        first: Vec<Instant>,
        second: Vec<Instant>,
    ) -> Result<Option<Started>, OcfError> {
        let background = background(cx);
        if !link.can_be_asked() {
            background.forgive();
            return Ok(None);
        }
        if !background.end() {
            return Ok(None);
        }
        let is_router = ip.is_ipv6() && forwards(cx, &link.name);
        let (index, form) = (link.hw.index, self.form);
        let body = move |report: &mut Report| {
            let mut announced = Ok(());
            for burst in [first, second] {
                announced = announce(ip, index, form, is_router, &burst);
                if announced.is_err() {
                    break;
                }
                report.done();
            }
            report.conclude(announced.map_err(|e| format!("announcing {ip} failed: {e}")));
        };
        background.start(Vec::new(), body).map(Some)
    }
}

/// The process that announces.
#[must_use]
pub fn background(cx: &Context) -> Background {
    Background::new(cx, "announcer")
}

/// Announces at these moments from now, as long as the address is on the link. That nothing at all could be sent is a failure.
fn announce(ip: IpAddr, index: u32, form: Form, is_router: bool, moments: &[Instant]) -> Result<(), KernelError> {
    let mut netlink = Netlink::route()?;
    let (mut announcer, mut is_sent, mut failure) = (None, false, None);
    for moment in moments {
        sleep(moment.saturating_duration_since(Instant::now()));
        match whereabouts(&mut netlink, ip, index)? {
            Whereabouts::Gone => return Ok(()),
            Whereabouts::NotYetOurs => continue,
            Whereabouts::Here => {}
        }
        if announcer.is_none() {
            // As it is now: a bond takes the hardware address of another link when one is lost.
            let Some(link) = Link::by_index(&mut netlink, index)? else { return Ok(()) };
            announcer = Some(Announcer::open(ip, &link.hw, form, is_router)?);
        }
        match announcer.as_ref().map_or(Ok(()), Announcer::announce) {
            Ok(()) => is_sent = true,
            Err(e) => failure = Some(e),
        }
    }
    match failure {
        Some(e) if !is_sent => Err(e),
        _ => Ok(()),
    }
}

/// What an address is to the link that it was put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is there and can be spoken for.
    Here,
    /// The kernel has not found out yet whether another machine has it.
    NotYetOurs,
    /// It is not there, or another machine has it.
    Gone,
}

/// Where the address is now: nobody speaks for an address that he does not have any more.
///
/// # Errors
/// The kernel can not be asked.
pub fn whereabouts(netlink: &mut Netlink, ip: IpAddr, index: u32) -> Result<Whereabouts, KernelError> {
    let found = Address::find(netlink, ip)?.into_iter().find(|address| address.index() == index);
    Ok(match found {
        Some(address) if address.is_duplicate() => Whereabouts::Gone,
        Some(address) if address.is_tentative() => Whereabouts::NotYetOurs,
        Some(_) => Whereabouts::Here,
        None => Whereabouts::Gone,
    })
}

/// Whether this machine is a router on that link, as its neighbours must be told.
fn forwards(cx: &Context, nic: &str) -> bool {
    let dir = cx.root.dir("/proc/sys/net/ipv6/conf").dir(nic);
    dir.read_opt("forwarding").ok().flatten().is_some_and(|text| text.trim() != "0")
}
