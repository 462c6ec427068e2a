//! Routes of the main table, to find the link and the prefix that an address belongs to.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteScope, RouteType};

use super::address::family;
use super::netlink::Netlink;
use crate::kernel::error::{KernelError, Result};

/// The network that an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The number of the link that leads there.
    pub index: u32,
    /// How many bits of an address are the network's.
    pub prefix: u8,
    /// Lower is better.
    metric: u32,
}

/// Whether `ip` is in the network of `prefix` bits that `network` is in.
#[must_use]
pub fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    let same = |a: u128, b: u128, width: u8| prefix == 0 || (prefix <= width && (a ^ b) >> (width - prefix) == 0);
    match (network, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128),
        _ => false,
    }
}

/// The directly connected network that `ip` belongs to: the one with the longest prefix, of several the one with the lowest metric.
/// Default routes and those over a gateway say nothing. With `index`, only on that link; with `protocol`, only routes of that origin
/// (`RTPROT_…`).
///
/// # Errors
/// The kernel can not be asked, or its answer not be read.
pub fn network_of(netlink: &mut Netlink, ip: IpAddr, index: Option<u32>, protocol: Option<u8>) -> Result<Option<Network>> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(ip);
    request.header.table = RouteHeader::RT_TABLE_MAIN;
    let replies = match netlink.dump(&RouteNetlinkMessage::GetRoute(request), "routes") {
        // A namespace that never had a route has no table of them.
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    let routes =
        replies.items.iter().filter_map(|item| if let RouteNetlinkMessage::NewRoute(route) = item { Some(route) } else { None });
    let fits = |network: &Network| index.is_none_or(|index| index == network.index);
    let best = best(
        routes.filter(|r| protocol.is_none_or(|p| p == u8::from(r.header.protocol))).filter_map(|r| network(r, ip)).filter(fits),
    );
    match (best, replies.unread) {
        (None, Some(why)) => Err(KernelError::new("read", "routes", std::io::Error::other(why))),
        (best, _) => Ok(best),
    }
}

fn best(networks: impl Iterator<Item = Network>) -> Option<Network> {
    networks.min_by_key(|network| (u8::MAX - network.prefix, network.metric))
}

/// The network of a route, if the route is directly connected and leads to `ip`.
fn network(route: &RouteMessage, ip: IpAddr) -> Option<Network> {
    let header = &route.header;
    let is_ours =
        header.table == RouteHeader::RT_TABLE_MAIN && header.kind == RouteType::Unicast && header.destination_prefix_length > 0;
    // IPv4 says "on this link" by the scope; IPv6 routes have none.
    if !is_ours || (ip.is_ipv4() && header.scope != RouteScope::Link) {
        return None;
    }
    let (mut to, mut index, mut metric) = (None, None, 0);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = Some(IpAddr::V4(*ip)),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => to = Some(IpAddr::V6(*ip)),
            RouteAttribute::Oif(link) => index = Some(*link),
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    let network = Network { index: index?, prefix: header.destination_prefix_length, metric };
    contains(to?, network.prefix, ip).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(to: &str, prefix: u8, index: u32, metric: u32) -> RouteMessage {
        let to: IpAddr = to.parse().unwrap();
        let mut route = RouteMessage::default();
        route.header.address_family = family(to);
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.kind = RouteType::Unicast;
        route.header.scope = if to.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
        route.header.destination_prefix_length = prefix;
        route.attributes =
            vec![RouteAttribute::Destination(to.into()), RouteAttribute::Oif(index), RouteAttribute::Priority(metric)];
        route
    }

    fn found(routes: &[RouteMessage], ip: &str) -> Option<(u32, u8)> {
        let ip = ip.parse().unwrap();
        best(routes.iter().filter_map(|r| network(r, ip))).map(|n| (n.index, n.prefix))
    }

    #[test]
    fn the_longest_prefix_wins_and_then_the_lowest_metric() {
        let routes = [
            route("10.0.0.0", 8, 2, 0),
            route("10.1.0.0", 16, 3, 500),
            route("10.1.0.0", 16, 4, 100),
            route("10.2.0.0", 16, 5, 0),
        ];
        assert_eq!(found(&routes, "10.1.2.3"), Some((4, 16)));
        assert_eq!(found(&routes, "10.3.0.1"), Some((2, 8)));
        assert_eq!(found(&routes, "192.168.0.1"), None);
        let six = [route("2001:db8::", 32, 2, 0), route("2001:db8:1::", 64, 3, 1024)];
        assert_eq!(found(&six, "2001:db8:1::5"), Some((3, 64)));
    }

    #[test]
    fn a_default_route_or_one_over_a_gateway_or_of_another_kind_says_nothing() {
        let mut over = route("10.0.0.0", 8, 2, 0);
        over.header.scope = RouteScope::Universe;
        let mut unreachable = route("10.0.0.0", 9, 2, 0);
        unreachable.header.kind = RouteType::Unreachable;
        let mut gateway = route("2001:db8::", 32, 2, 0);
        gateway.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet6("fe80::1".parse().unwrap())));
        assert_eq!(found(&[route("0.0.0.0", 0, 2, 0), over, unreachable], "10.0.0.1"), None);
        assert_eq!(found(&[gateway], "2001:db8::1"), None);
    }

    #[test]
    fn a_network_contains_what_has_its_bits() {
        let contains = |network: &str, prefix, ip: &str| contains(network.parse().unwrap(), prefix, ip.parse().unwrap());
        assert!(
            contains("10.0.0.0", 31, "10.0.0.1") && !contains("10.0.0.0", 32, "10.0.0.1") && contains("10.0.0.1", 32, "10.0.0.1")
        );
        assert!(contains("::", 0, "2001:db8::1") && !contains("0.0.0.0", 0, "::1") && !contains("10.0.0.0", 33, "10.0.0.0"));
    }
}
