//! No bytes make the readers of netlink replies panic or find more messages than there is room for, whatever they are read as.
//!
//! The first byte says as what they are read, and whether they must answer request number 1.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use netlink_packet_core::NetlinkDeserializable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_sock_diag::SockDiagMessage;
use ocf_san::kernel::net::netlink::{Progress, Replies, decode};

/// Bytes of a message's header.
const HEADER: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let sequence = (how & 2 != 0).then_some(1);
    if how & 1 == 0 { read::<RouteNetlinkMessage>(bytes, sequence) } else { read::<SockDiagMessage>(bytes, sequence) }
});

fn read<T: NetlinkDeserializable + Debug>(bytes: &[u8], sequence: Option<u32>) {
    let mut replies = Replies::<T>::default();
    if let Progress::Refused(errno) = decode(bytes, sequence, &mut replies) {
        assert!(errno > 0, "refused with {errno}");
    }
    assert!(replies.items.len() <= bytes.len() / HEADER, "{} messages in {} bytes", replies.items.len(), bytes.len());
    assert!(replies.unread.as_deref() != Some(""), "no reason");
    drop(format!("{replies:?}"));
}
