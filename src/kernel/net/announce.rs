//! Tells every node of a link where an address is now: gratuitous ARP, or an unsolicited neighbour advertisement.

use std::net::IpAddr;

use super::hw::{HwAddr, HwLink};
use super::packet::{ALL_NODES, advertisement, arp_reply, arp_request};
use super::packet_socket::{Hears, PacketSocket};
use crate::kernel::error::{KernelError, Result};

/// Which forms of gratuitous ARP to send: some switches and firewalls learn from one of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A request, then a reply.
    #[default]
    Both,
    /// A request.
    Request,
    /// A reply.
    Reply,
}

/// Announces one address on one link, as often as it is asked to.
#[derive(Debug)]
pub struct Announcer {
    ip: IpAddr,
    socket: PacketSocket,
    packets: Vec<Vec<u8>>,
    protocol: i32,
    to: HwAddr,
}

impl Announcer {
    /// Prepares the packets and the socket. `form` matters to IPv4 only, and whether this node forwards (`is_router`) to IPv6 only.
    ///
    /// # Errors
    /// No privilege, or a link that [can not announce](HwLink::can_announce).
    pub fn open(ip: IpAddr, link: &HwLink, form: Form, is_router: bool) -> Result<Self> {
        let wrong = |e| KernelError::new("announce", ip.to_string(), e);
        if !link.can_announce() {
            return Err(wrong(std::io::Error::other("the link has no hardware addresses")));
        }
        let (packets, protocol, to) = match ip {
            IpAddr::V4(ip) => {
                let makers: &[fn(_, &HwLink) -> _] = match form {
                    Form::Both => &[arp_request, arp_reply],
                    Form::Request => &[arp_request],
                    Form::Reply => &[arp_reply],
                };
                let packets = makers.iter().map(|make| make(ip, link)).collect::<std::io::Result<_>>().map_err(wrong)?;
                (packets, libc::ETH_P_ARP, link.broadcast.clone())
            }
            IpAddr::V6(ip) => {
                (vec![advertisement(ip, link, is_router).map_err(wrong)?], libc::ETH_P_IPV6, link.multicast(ALL_NODES))
            }
        };
        let socket = PacketSocket::open(link, Hears::Nothing).map_err(wrong)?;
        Ok(Self { ip, socket, packets, protocol, to })
    }

    /// Sends one round: for IPv4 a packet of each form, for IPv6 one.
    ///
    /// # Errors
    /// The link is down or gone, or its queue is full.
    pub fn announce(&self) -> Result<()> {
        let send = |packet: &Vec<u8>| self.socket.send(packet, self.protocol, &self.to);
        self.packets.iter().try_for_each(send).map_err(|e| KernelError::new("announce", self.ip.to_string(), e))
    }
}
