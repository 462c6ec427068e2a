//! The network as the kernel knows it: links, addresses, routes and TCP connections over netlink, and the few packets that announce an
//! address, look for another owner of it, or wake up the peers of a connection that has moved.
//!
//! All of it speaks of the network namespace that the calling thread is in.

pub mod address;
pub mod announce;
pub mod connection;
pub mod duplicate;
pub mod hw;
pub mod link;
pub mod namespace;
pub mod netlink;
pub mod packet;
mod packet_socket;
pub mod route;
pub mod source_label;
pub mod tickle;
