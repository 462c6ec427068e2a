//! What is wrong with the parameters before anything is touched, and the way into the network namespace that they name.

use std::fmt::Display;
use std::net::IpAddr;

use super::{Vip, look, missing};
use crate::kernel::net::link::{Link, MAX_NAME};
use crate::kernel::net::namespace;
use crate::kernel::net::netlink::Netlink;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Vip {
    /// The address, if the parameters go together. What is wrong on every node is no state of the resource.
    pub(super) fn sound(&self) -> Result<IpAddr, OcfError> {
        let ip = self.ip.as_ref().copied().map_err(|why| wrong("ip", why))?;
        if ip.is_ipv4() && self.prefix.is_some_and(|prefix| prefix > 32) {
            return Err(wrong("cidr_netmask", "more than 32 bits for an IPv4 address"));
        }
        if ip.is_ipv6() && self.is_mask {
            return Err(wrong("cidr_netmask", "a netmask is IPv4's, IPv6 has a prefix length"));
        }
        if let (IpAddr::V6(six), None) = (ip, &self.nic) {
            if six.is_unicast_link_local() {
                return Err(wrong("nic", "not set, and every link has the network of a link-local address"));
            }
        }
        if look::is_link_local(ip) && self.remembering.dir.is_some() {
            return Err(wrong(
                "tickle_dir",
                "without effect for a link-local address: the peers can not be reached by their addresses alone",
            ));
        }
        if self.remembering.sync.is_some() && self.remembering.dir.is_none() {
            return Err(wrong("sync_script", "there is nothing to carry over without tickle_dir"));
        }
        Ok(ip)
    }

    /// As [`Vip::sound`], of what only a start can get wrong.
    pub(super) fn startable(&self, cx: &Context) -> Result<IpAddr, OcfError> {
        let ip = self.sound()?;
        let clones = cx.env.get("OCF_RESKEY_CRM_meta_clone_max").and_then(|text| text.trim().parse().ok()).unwrap_or(1);
        if clones > 1 {
            return Err(wrong("clone-max", "a virtual address is on one node at a time and can not be cloned"));
        }
        if ip.is_ipv4() {
            self.check_label(cx)?;
        } else if self.label.is_some() {
            tracing::warn!("iflabel: without effect, IPv6 addresses have no labels");
        }
        if !self.obsolete.is_empty() {
            tracing::warn!("{}: without effect here", self.obsolete.join(", "));
        }
        Ok(ip)
    }

    /// The label goes with the link's own name, which may be shorter than the one that the parameter has.
    fn check_label(&self, cx: &Context) -> Result<(), OcfError> {
        let (Some(nic), Some(label)) = (&self.nic, &self.label) else { return Ok(()) };
        let fits = |nic: &str| nic.len() + 1 + label.len() <= MAX_NAME;
        let fits_own_name = || {
            let is_here = self.enter(cx, self.namespace.as_deref()).unwrap_or(false);
            let link = Netlink::route().and_then(|mut netlink| Link::by_name(&mut netlink, nic)).ok().flatten();
            is_here && link.is_some_and(|link| fits(&link.name))
        };
        if fits(nic) || fits_own_name() {
            return Ok(());
        }
        Err(wrong("iflabel", format_args!("{nic}:{label} has more than {MAX_NAME} characters")))
    }

    /// Puts this thread into that network namespace; whether there is one of that name.
    pub(super) fn enter(&self, cx: &Context, name: Option<&str>) -> Result<bool, OcfError> {
        match (name, self.home.get()) {
            (None, None) => Ok(true),
            (None, Some(home)) => Ok(home.go_back().map(|()| true)?),
            (Some(name), _) => match namespace::enter(cx.root, name)? {
                Some(home) => {
                    // The first one is the cluster's.
                    let _ = self.home.set(home);
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }

    /// Puts this thread into the network namespace of the parameters.
    pub(super) fn enter_own(&self, cx: &Context) -> Result<(), OcfError> {
        if self.enter(cx, self.namespace.as_deref())? {
            return Ok(());
        }
        let name = self.namespace.as_deref().unwrap_or_default();
        Err(missing("network_namespace", format_args!("no {name} here")))
    }
}

fn wrong(parameter: &str, why: impl Display) -> OcfError {
    OcfError::new(Code::Configured, format_args!("{parameter}: {why}"))
}
