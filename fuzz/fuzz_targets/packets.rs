//! No packet from the network makes the reader of somebody's claim to an address panic, and no line of a tickle file its own.
//!
//! The first byte says what the rest is: an ARP packet, an IPv6 packet, what follows a right IPv6 header and checksum of a neighbour
//! advertisement or solicitation, or a text. A claim must come from somebody whose address was in the packet, and what a line is read as
//! must be read the same when it is written again.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use libfuzzer_sys::fuzz_target;
use ocf_san::kernel::net::connection::Connection;
use ocf_san::kernel::net::hw::{HwAddr, HwLink};
use ocf_san::kernel::net::packet::{arp_claim, neighbor_claim};

const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50);
const HOP_LIMIT: u8 = 255;

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    match how % 4 {
        0 => {
            if let Some(HwAddr(from)) = arp_claim(bytes, IPV4, how & 4 != 0) {
                assert!(from.is_empty() || bytes.windows(from.len()).any(|part| part == from), "{from:x?} is not in the packet");
            }
        }
        1 => neighbor(bytes, how),
        2 => {
            let Some((word, rest)) = bytes.split_first_chunk() else { return };
            let kind = if how & 4 == 0 { 136 } else { 135 };
            let source = if how & 8 == 0 { IPV6.octets() } else { [0; 16] };
            let builder = PacketBuilder::ipv6(source, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets(), HOP_LIMIT);
            let payload = [&IPV6.octets(), rest].concat();
            let mut packet = Vec::new();
            if builder.icmpv6_raw(kind, 0, *word).write(&mut packet, &payload).is_ok() {
                neighbor(&packet, how);
            }
        }
        _ => {
            for line in String::from_utf8_lossy(bytes).lines() {
                if let Ok(connection) = line.parse::<Connection>() {
                    assert_eq!(connection.to_string().parse(), Ok(connection), "{line:?}");
                }
            }
        }
    }
});

fn neighbor(packet: &[u8], how: u8) {
    let own = HwAddr(vec![2, 0, 0, 0, 0, 1]);
    // InfiniBand has addresses of its own length.
    let kind = if how & 16 == 0 { 1 } else { 32 };
    let link = HwLink { index: 2, kind, address: own.clone(), broadcast: HwAddr(vec![0xff; 6]) };
    let from = HwAddr(vec![2, 0, 0, 0, 0, 2]);
    if let Some(claimed) = neighbor_claim(packet, IPV6, &link, &from) {
        let is_in_packet = packet.windows(claimed.0.len().max(1)).any(|part| part == claimed.0);
        assert!(claimed == from || claimed.0.is_empty() || is_in_packet, "{claimed} is nowhere");
    }
}
