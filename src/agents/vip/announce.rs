//! Telling the network where the address is now: when, how often, and for as long as it is true.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::background::{Background, Report, Started};
use crate::kernel::error::KernelError;
use crate::kernel::net::address::Address;
use crate::kernel::net::announce::{Announcer, Form};
use crate::kernel::net::hw::HwLink;
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
        let first = self.burst(self.count, Duration::ZERO);
        let second_begins = SECOND_BURST.max(first.last().copied().unwrap_or_default() + self.interval);
        let second = self.burst(self.count, second_begins);
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
            self.begin(cx, ip, link, self.burst(count, Duration::ZERO), Vec::new())?;
        }
        Ok(())
    }

    fn burst(&self, count: u32, begins: Duration) -> Vec<Duration> {
        (0..count).map(|n| begins.saturating_add(self.interval.saturating_mul(n))).collect()
    }

    fn begin(
        &self,
        cx: &Context,
        ip: IpAddr,
        link: &Link,
        first: Vec<Duration>,
        second: Vec<Duration>,
    ) -> Result<Option<Started>, OcfError> {
        let background = background(cx);
        background.end();
        if !link.can_be_asked() {
            return Ok(None);
        }
        let is_router = ip.is_ipv6() && forwards(cx, &link.name);
        let (hw, form) = (link.hw.clone(), self.form);
        background
            .start(Vec::new(), move |report| {
                if let Err(e) = announce(ip, &hw, form, is_router, &first, &second, report) {
                    report.failed(&format!("announcing {ip} failed: {e}"));
                }
            })
            .map(Some)
    }
}

/// The process that announces.
#[must_use]
pub fn background(cx: &Context) -> Background {
    Background::new(cx, "announcer")
}

/// Announces at these moments from now, as long as the address is on the link. A burst of which nothing could be sent is a failure.
fn announce(
    ip: IpAddr,
    link: &HwLink,
    form: Form,
    is_router: bool,
    first: &[Duration],
    second: &[Duration],
    report: &mut Report,
) -> Result<(), KernelError> {
    let begun = Instant::now();
    let announcer = Announcer::open(ip, link, form, is_router)?;
    let mut netlink = Netlink::route()?;
    for burst in [first, second] {
        let (mut is_sent, mut failure) = (false, None);
        for moment in burst {
            sleep(moment.saturating_sub(begun.elapsed()));
            if !is_there(&mut netlink, ip, link.index)? {
                return Ok(());
            }
            match announcer.announce() {
                Ok(()) => is_sent = true,
                Err(e) => failure = Some(e),
            }
        }
        match failure {
            Some(e) if !is_sent => return Err(e),
            _ => report.done(),
        }
    }
    Ok(())
}

/// Whether the address is on the link still: nobody speaks for an address that he does not have any more.
///
/// # Errors
/// The kernel can not be asked.
pub fn is_there(netlink: &mut Netlink, ip: IpAddr, index: u32) -> Result<bool, KernelError> {
    Ok(Address::find(netlink, ip)?.iter().any(|address| address.index() == index && !address.is_duplicate()))
}

/// Whether this machine is a router on that link, as its neighbours must be told.
fn forwards(cx: &Context, nic: &str) -> bool {
    let dir = cx.root.dir("/proc/sys/net/ipv6/conf").dir(nic);
    dir.read_opt("forwarding").ok().flatten().is_some_and(|text| text.trim() != "0")
}
