//! Stop: the address taken away, wherever it is and with whatever prefix, and then the connections that it leaves behind. Its siblings on
//! the link stay.

use std::net::IpAddr;
use std::time::Duration;

use super::look::{find, is_link_local, name_of};
use super::record::Record;
use crate::kernel::error::KernelError;
use crate::kernel::net::address::Address;
use crate::kernel::net::netlink::Netlink;
use crate::kernel::net::{connection, source_label};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long a stop waits until the list of connections is written.
pub const SAVING: Duration = Duration::from_secs(1);

/// Removes what `record` describes from this network namespace.
///
/// # Errors
/// It is still there.
pub fn remove(cx: &Context, record: &Record) -> Result<(), OcfError> {
    let ip = record.ip;
    let mut netlink = Netlink::route()?;
    let index = Some(record.index).filter(|index| *index > 0);
    let mut failure = None;
    for address in find(&mut netlink, ip, index, record.nic.as_deref())? {
        if let Err(e) = remove_one(cx, &mut netlink, &address) {
            failure = Some(e);
        }
    }
    // That it is gone counts, not what was said on the way.
    if let Some(address) = find(&mut netlink, ip, index, record.nic.as_deref())?.first() {
        let on = name_of(&mut netlink, address.index());
        let error = failure.map_or_else(|| OcfError::new(Code::Generic, "it came back"), OcfError::from);
        return Err(error.context(format_args!("{address} is still on {on}")));
    }
    if let (IpAddr::V6(ip), Some(label)) = (ip, record.source_label) {
        if let Err(e) = source_label::delete(&mut netlink, ip, label) {
            tracing::warn!("{e}");
        }
    }
    drop_connections(ip);
    Ok(())
}

/// Drops what is left of the connections. With an IPv4 address gone no packet leaves, and the peers wait for the other node; for an IPv6
/// one Linux sends resets all the same, and the peers begin to connect again.
fn drop_connections(ip: IpAddr) {
    if is_link_local(ip) {
        // Another link may have the same one.
        return;
    }
    match connection::destroy(ip) {
        Ok(0) => {}
        Ok(n) => tracing::info!("{n} connections of {ip} dropped"),
        Err(e) => tracing::warn!("connections of {ip} stay until they time out: {e}"),
    }
}

fn remove_one(cx: &Context, netlink: &mut Netlink, address: &Address) -> Result<(), KernelError> {
    let on = name_of(netlink, address.index());
    tracing::info!("{address} is removed from {on}");
    (cx.progress)("remove the address");
    if address.ip.is_ipv4() && !address.is_secondary() {
        keep_siblings(cx, &on);
    }
    address.delete(netlink).map(drop)
}

/// Has the kernel keep the secondary addresses of a network when their primary one goes, instead of taking them along. This stays so:
/// another stop may be relying on it at this very moment.
fn keep_siblings(cx: &Context, nic: &str) {
    let settings = cx.root.dir("/proc/sys/net/ipv4/conf").dir(nic);
    if settings.read("promote_secondaries").is_ok_and(|text| text == "0") {
        if let Err(e) = settings.set("promote_secondaries", "1") {
            tracing::warn!("secondary addresses on {nic} go with their primary one: {e}");
        }
    }
}
