//! The packets we send and those we understand, as bytes from the network header on. Touches no socket.
//!
//! ARP: RFC 826, and RFC 5227 for probes, announcements and what a conflict is. IPv6: RFC 4861 and RFC 4862.

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::icmpv6::{NdpOptionSlice, NdpOptionsIterator, NeighborAdvertisementHeader};
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, ArpPacketSlice, EtherType, Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6Slice,
    PacketBuilder,
};

use super::hw::{HwAddr, HwLink};

/// Every node of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// What shows that no router passed a packet on (RFC 4861, 7.1).
const UNROUTED: u8 = 255;
/// Number of the option "target link-layer address".
const TARGET_ADDRESS: u8 = 2;
/// `ARPHRD_INFINIBAND`.
const INFINIBAND: u16 = 32;
/// Bytes of a target in front of the options.
const TARGET: usize = 16;
/// What `tickle` says it has room for; nobody sends anything into it.
const WINDOW: u16 = 1234;
/// How many routers may pass a segment on.
const HOPS: u8 = 64;

/// An ARP request that announces `ip`: it asks for what it says. Its target hardware address is zero, as RFC 5227 has it.
///
/// # Errors
/// The hardware address is too long to be one.
pub fn arp_request(ip: Ipv4Addr, link: &HwLink) -> io::Result<Vec<u8>> {
    arp(ArpOperation::REQUEST, ip, &vec![0; link.address.0.len()], ip, link)
}

/// An ARP reply that announces `ip`; its target hardware address is the sender's, as RFC 5944 (4.6) has it.
///
/// # Errors
/// The hardware address is too long to be one.
pub fn arp_reply(ip: Ipv4Addr, link: &HwLink) -> io::Result<Vec<u8>> {
    arp(ArpOperation::REPLY, ip, &link.address.0, ip, link)
}

/// An ARP request that asks for `ip` and claims nothing, so that it spoils no cache.
///
/// # Errors
/// The hardware address is too long to be one.
pub fn arp_probe(ip: Ipv4Addr, link: &HwLink) -> io::Result<Vec<u8>> {
    arp(ArpOperation::REQUEST, Ipv4Addr::UNSPECIFIED, &vec![0; link.address.0.len()], ip, link)
}

fn arp(operation: ArpOperation, sender: Ipv4Addr, target_hw: &[u8], target: Ipv4Addr, link: &HwLink) -> io::Result<Vec<u8>> {
    let (kind, own) = (ArpHardwareId(link.kind), &link.address.0);
    let packet = ArpPacket::new(kind, EtherType::IPV4, operation, own, &sender.octets(), target_hw, &target.octets());
    Ok(packet.map_err(unfit)?.to_bytes().to_vec())
}

/// An IPv6 packet in which `ip` advertises itself to every node of the link, whether asked or not.
///
/// # Errors
/// The hardware address is too long to be one.
pub fn advertisement(ip: Ipv6Addr, link: &HwLink, is_router: bool) -> io::Result<Vec<u8>> {
    let header = NeighborAdvertisementHeader { router: is_router, solicited: false, r#override: true };
    let mut payload = ip.octets().to_vec();
    payload.extend(target_address_option(link)?);
    icmp(ip, ALL_NODES, Icmpv6Type::NeighborAdvertisement(header), &payload)
}

/// The address between type, length and padding to a multiple of 8 bytes. InfiniBand has two zero bytes in front of it (RFC 4391).
fn target_address_option(link: &HwLink) -> io::Result<Vec<u8>> {
    let before = address_offset(link.kind);
    let length = (before + link.address.0.len()).next_multiple_of(8);
    let mut option = vec![0; length];
    option[0] = TARGET_ADDRESS;
    option[1] = u8::try_from(length / 8).map_err(unfit)?;
    option[before..before + link.address.0.len()].copy_from_slice(&link.address.0);
    Ok(option)
}

fn address_offset(kind: u16) -> usize {
    if kind == INFINIBAND { 4 } else { 2 }
}

/// An IPv6 packet that asks for `ip` from the unspecified address, as one does who is about to take it: it spoils no cache.
///
/// # Errors
/// It does not fit into a packet.
pub fn solicitation(ip: Ipv6Addr) -> io::Result<Vec<u8>> {
    icmp(Ipv6Addr::UNSPECIFIED, solicited_group(ip), Icmpv6Type::NeighborSolicitation, &ip.octets())
}

/// The group that who has `ip` listens to (RFC 4291, 2.7.1).
#[must_use]
pub fn solicited_group(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = ip.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

fn icmp(from: Ipv6Addr, to: Ipv6Addr, kind: Icmpv6Type, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv6(from.octets(), to.octets(), UNROUTED).icmpv6(kind);
    builder.write_to_vec(&mut packet, payload).map_err(unfit)?;
    Ok(packet)
}

/// An IP packet with a bare TCP acknowledgement of nothing, which a peer that knows of this connection answers with one that tells
/// where it is.
///
/// # Errors
/// One address is of IPv4, the other of IPv6.
pub fn acknowledgement(local: SocketAddr, peer: SocketAddr) -> io::Result<Vec<u8>> {
    let mut packet = Vec::new();
    let builder = match (local, peer) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), HOPS),
        (SocketAddr::V6(from), SocketAddr::V6(to)) => PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), HOPS),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    builder.tcp(local.port(), peer.port(), 0, WINDOW).ack(0).write_to_vec(&mut packet, &[]).map_err(unfit)?;
    Ok(packet)
}

/// The hardware address that an ARP packet claims `ip` with. A probe for `ip` claims it too; but only one that went to everybody
/// (`is_broadcast`), because some switches ask each host for its own address in the same words.
#[must_use]
pub fn arp_claim(bytes: &[u8], ip: Ipv4Addr, is_broadcast: bool) -> Option<HwAddr> {
    let packet = ArpPacketSlice::from_slice(bytes).ok()?;
    if packet.proto_addr_type() != EtherType::IPV4 || packet.proto_addr_size() != 4 {
        return None;
    }
    let asks = packet.operation() == ArpOperation::REQUEST;
    let probes = asks && is_broadcast && packet.sender_protocol_addr() == [0; 4] && packet.target_protocol_addr() == ip.octets();
    let claims = packet.sender_protocol_addr() == ip.octets();
    (probes || claims).then(|| HwAddr(packet.sender_hw_addr().to_vec()))
}

/// The hardware address that an IPv6 packet claims `ip` with: an advertisement of it, or a solicitation from one who is about to take it.
/// `from` is where the packet came from, and counts where it does not say.
#[must_use]
pub fn neighbor_claim(bytes: &[u8], ip: Ipv6Addr, link: &HwLink, from: &HwAddr) -> Option<HwAddr> {
    let packet = Ipv6Slice::from_slice(bytes).ok()?;
    let (header, payload) = (packet.header(), packet.payload());
    if header.hop_limit() != UNROUTED || payload.ip_number != IpNumber::IPV6_ICMP || payload.fragmented {
        return None;
    }
    let icmp = Icmpv6Slice::from_slice(payload.payload).ok()?;
    if !icmp.is_checksum_valid(header.source(), header.destination()) || *icmp.payload().get(..TARGET)? != ip.octets() {
        return None;
    }
    match icmp.icmp_type() {
        Icmpv6Type::NeighborAdvertisement(_) => {
            let said = advertised(icmp.payload().get(TARGET..)?, link);
            Some(said.map_or_else(|| from.clone(), |address| HwAddr(address.to_vec())))
        }
        Icmpv6Type::NeighborSolicitation if header.source_addr().is_unspecified() => Some(from.clone()),
        _ => None,
    }
}

/// The target link-layer address among the options; it is as long as those of `link`.
fn advertised<'a>(options: &'a [u8], link: &HwLink) -> Option<&'a [u8]> {
    let option = NdpOptionsIterator::from_slice(options).find_map(|option| match option {
        Ok(NdpOptionSlice::TargetLinkLayerAddress(option)) => Some(option),
        _ => None,
    })?;
    let before = address_offset(link.kind);
    option.as_bytes().get(before..before + link.address.0.len())
}

/// Whether an ARP packet or a neighbour message only asks for an address, with no address of its own: an ARP probe (RFC 5227) or a
/// neighbour solicitation.
#[must_use]
pub fn is_question(bytes: &[u8]) -> bool {
    const SOLICITATION: u8 = 135;
    match bytes.first().map(|byte| byte >> 4) {
        Some(6) => bytes.get(40) == Some(&SOLICITATION),
        // The sender's address stands behind its hardware address, whose length is in the header.
        _ => bytes.get(4).map(|length| 8 + usize::from(*length)).and_then(|at| bytes.get(at..at + 4)) == Some(&[0; 4]),
    }
}

fn unfit(why: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_string())
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};

    use super::*;

    const IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

    fn ip6() -> Ipv6Addr {
        "2001:db8::abcd:ef01:2345".parse().unwrap()
    }

    fn ethernet() -> HwLink {
        HwLink { index: 3, kind: 1, address: HwAddr(vec![0x52, 0x54, 0, 1, 2, 3]), broadcast: HwAddr(vec![0xff; 6]) }
    }

    fn infiniband() -> HwLink {
        HwLink { index: 4, kind: INFINIBAND, address: HwAddr((1..=20).collect()), broadcast: HwAddr(vec![0xff; 20]) }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: String = hex.split_whitespace().collect();
        (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[n * 2..n * 2 + 2], 16).unwrap()).collect()
    }

    #[test]
    fn arp_announces_by_a_request_and_a_reply_and_probes_from_no_address() {
        let link = ethernet();
        let request = "0001 0800 06 04 0001 525400010203 c0000207 000000000000 c0000207";
        assert_eq!(arp_request(IP, &link).unwrap(), bytes(request));
        let reply = "0001 0800 06 04 0002 525400010203 c0000207 525400010203 c0000207";
        assert_eq!(arp_reply(IP, &link).unwrap(), bytes(reply));
        let probe = "0001 0800 06 04 0001 525400010203 00000000 000000000000 c0000207";
        assert_eq!(arp_probe(IP, &link).unwrap(), bytes(probe));
        let long = "0020 0800 14 04 0002 0102030405060708090a0b0c0d0e0f1011121314 c0000207 0102030405060708090a0b0c0d0e0f1011121314 c0000207";
        assert_eq!(arp_reply(IP, &infiniband()).unwrap(), bytes(long));
    }

    #[test]
    fn an_advertisement_is_for_every_node_and_overrides() {
        let header = "6000 0000 0020 3a ff 20010db800000000 0000abcdef012345 ff020000000000000000000000000001";
        let body = "20000000 20010db8000000000000abcdef012345 0201 525400010203";
        let packet = advertisement(ip6(), &ethernet(), false).unwrap();
        assert_eq!(packet[..40], bytes(header));
        assert_eq!(packet[40..42], [136, 0]);
        assert_eq!(packet[44..], bytes(body));
        let router = advertisement(ip6(), &ethernet(), true).unwrap();
        assert_eq!(router[44], 0xa0);
        for packet in [packet, router] {
            assert!(has_good_checksum(&packet));
        }
    }

    #[test]
    fn an_infiniband_address_stands_behind_two_zero_bytes_in_an_option_of_24() {
        let packet = advertisement(ip6(), &infiniband(), false).unwrap();
        assert_eq!(packet.len(), 40 + 24 + 24);
        assert_eq!(packet[64..], bytes("0203 0000 0102030405060708090a0b0c0d0e0f1011121314"));
        assert_eq!(neighbor_claim(&packet, ip6(), &infiniband(), &HwAddr::default()), Some(infiniband().address));
    }

    #[test]
    fn a_solicitation_asks_the_group_of_the_address_from_no_address() {
        let packet = solicitation(ip6()).unwrap();
        let header = "6000 0000 0018 3a ff 0000000000000000 0000000000000000 ff0200000000000000000001ff012345";
        assert_eq!(packet[..40], bytes(header));
        assert_eq!(packet[40..42], [135, 0]);
        assert_eq!(packet[44..], bytes("00000000 20010db8000000000000abcdef012345"));
        assert!(has_good_checksum(&packet));
    }

    /// Adds up the pseudo header (RFC 8200, 8.1) and what follows: a second opinion on the library's sum.
    fn has_good_checksum(packet: &[u8]) -> bool {
        let length = u32::try_from(packet.len() - 40).unwrap();
        let mut all = packet[8..40].to_vec();
        all.extend(length.to_be_bytes());
        all.extend([0, 0, 0, packet[6]]);
        all.extend(&packet[40..]);
        sum(&all) == 0xffff
    }

    fn sum(bytes: &[u8]) -> u64 {
        let mut sum: u64 =
            bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum
    }

    #[test]
    fn an_acknowledgement_is_a_bare_ack_of_nothing() {
        let packet = acknowledgement("192.0.2.7:3260".parse().unwrap(), "192.0.2.99:40000".parse().unwrap()).unwrap();
        assert_eq!(packet.len(), 40);
        assert_eq!(packet[..10], bytes("4500 0028 0000 4000 40 06"));
        assert_eq!(packet[12..20], bytes("c0000207 c0000263"));
        assert_eq!(packet[20..36], bytes("0cbc 9c40 00000000 00000000 5010 04d2"));
        assert_eq!(packet[38..], [0, 0]);
        assert_eq!(sum(&packet[..20]), 0xffff);
        let pseudo = [&packet[12..20], &[0, 6, 0, 20], &packet[20..]].concat();
        assert_eq!(sum(&pseudo), 0xffff);

        let packet = acknowledgement("[2001:db8::1]:3260".parse().unwrap(), "[2001:db8::2]:40000".parse().unwrap()).unwrap();
        assert_eq!(packet[..8], bytes("6000 0000 0014 06 40"));
        assert!(has_good_checksum(&packet));
        let read = SlicedPacket::from_ip(&packet).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = read.transport else { panic!("{read:?}") };
        assert!(tcp.ack() && !tcp.syn() && !tcp.rst() && !tcp.fin());
        assert_eq!((tcp.source_port(), tcp.destination_port(), tcp.window_size()), (3260, 40000, WINDOW));

        let mixed = acknowledgement("192.0.2.7:3260".parse().unwrap(), "[2001:db8::2]:1".parse().unwrap());
        assert_eq!(mixed.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn who_says_an_address_or_probes_for_it_claims_it_and_who_asks_for_it_does_not() {
        let link = ethernet();
        let other = Ipv4Addr::new(192, 0, 2, 8);
        let theirs = Some(link.address.clone());
        for said in [arp_request(IP, &link), arp_reply(IP, &link)] {
            let said = said.unwrap();
            assert_eq!(arp_claim(&said, IP, false), theirs);
            assert_eq!(arp_claim(&said, other, false), None);
            let padded = [said, vec![0; 18]].concat();
            assert_eq!(arp_claim(&padded, IP, true), theirs, "short frames are filled up");
        }
        let probe = arp_probe(IP, &link).unwrap();
        assert_eq!(arp_claim(&probe, IP, true), theirs);
        assert_eq!(arp_claim(&probe, other, true), None);
        assert_eq!(arp_claim(&probe, IP, false), None, "a switch that asks a host for its own address");
        let asks = arp(ArpOperation::REQUEST, other, &[0; 6], IP, &link).unwrap();
        assert_eq!(arp_claim(&asks, IP, true), None);
        let mut ipx = arp_reply(IP, &link).unwrap();
        ipx[2..4].copy_from_slice(&[0x81, 0x37]);
        assert_eq!(arp_claim(&ipx, IP, true), None);
    }

    #[test]
    fn a_neighbor_that_advertises_an_address_or_is_about_to_take_it_claims_it() {
        let (link, from) = (ethernet(), HwAddr(vec![9; 6]));
        let packet = advertisement(ip6(), &link, false).unwrap();
        assert_eq!(neighbor_claim(&packet, ip6(), &link, &from), Some(link.address.clone()), "what it says");
        let header = NeighborAdvertisementHeader { router: false, solicited: false, r#override: false };
        let mute = icmp(ip6(), ALL_NODES, Icmpv6Type::NeighborAdvertisement(header), &ip6().octets()).unwrap();
        assert_eq!(neighbor_claim(&mute, ip6(), &link, &from), Some(from.clone()), "where it came from");
        assert_eq!(neighbor_claim(&solicitation(ip6()).unwrap(), ip6(), &link, &from), Some(from.clone()));

        let other: Ipv6Addr = "2001:db8::1".parse().unwrap();
        assert_eq!(neighbor_claim(&packet, other, &link, &from), None);
        let asks = icmp(other, solicited_group(ip6()), Icmpv6Type::NeighborSolicitation, &ip6().octets()).unwrap();
        assert_eq!(neighbor_claim(&asks, ip6(), &link, &from), None, "it only wants to talk");
        let mut routed = packet.clone();
        routed[7] = 64;
        assert_eq!(neighbor_claim(&routed, ip6(), &link, &from), None, "from beyond a router");
        let mut spoiled = packet;
        spoiled[70] ^= 1;
        assert_eq!(neighbor_claim(&spoiled, ip6(), &link, &from), None, "the checksum is wrong");
    }

    #[test]
    fn what_is_cut_or_spoiled_anywhere_is_survived() {
        let (link, from) = (ethernet(), HwAddr::default());
        let good =
            [arp_reply(IP, &link).unwrap(), arp_reply(IP, &infiniband()).unwrap(), advertisement(ip6(), &link, true).unwrap()];
        for packet in good {
            for length in 0..packet.len() {
                assert_eq!(arp_claim(&packet[..length], IP, true), None);
                assert_eq!(neighbor_claim(&packet[..length], ip6(), &link, &from), None);
            }
            for at in 0..packet.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut spoiled = packet.clone();
                    spoiled[at] = value;
                    let _ = arp_claim(&spoiled, IP, true);
                    let _ = neighbor_claim(&spoiled, ip6(), &link, &from);
                }
            }
        }
    }
}
