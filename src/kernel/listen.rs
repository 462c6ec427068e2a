//! Which TCP ports this machine listens on, from `/proc/net/tcp` and `tcp6` (`Documentation/networking/proc_net_tcp.rst`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attr::Root;
use super::error::Result;

/// The state number of a listening socket (`TCP_LISTEN`, `include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// Address and port of every listening TCP socket of this network namespace.
///
/// # Errors
/// Whatever reading says; a family that the kernel does not have is no error.
pub fn listening(root: &Root) -> Result<Vec<(IpAddr, u16)>> {
    let net = root.dir("/proc/net");
    let mut sockets = Vec::new();
    for file in ["tcp", "tcp6"] {
        if let Some(table) = net.read_opt(file)? {
            sockets.extend(table.lines().skip(1).filter_map(parse));
        }
    }
    Ok(sockets)
}

/// `  0: 0100007F:0CBC 00000000:0000 0A …`
fn parse(line: &str) -> Option<(IpAddr, u16)> {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next()?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    // Each group of eight digits is a 32-bit word in the byte order of the machine.
    let words = (0..address.len() / 8).map(|i| u32::from_str_radix(address.get(i * 8..i * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_of_both_families_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let v4 = "  sl  local_address rem_address   st\n   0: 0100007F:0CBC 00000000:0000 0A 0\n   1: 0100007F:0016 0200007F:9999 01 0\n";
        let v6 = "  sl  local_address\n   0: 00000000000000000000000001000000:0CBC 00000000000000000000000000000000:0000 0A 0\n";
        root.dir("/proc/net").set("tcp", v4).unwrap();
        root.dir("/proc/net").set("tcp6", v6).unwrap();
        let expected: Vec<(IpAddr, u16)> = vec![("127.0.0.1".parse().unwrap(), 3260), ("::1".parse().unwrap(), 3260)];
        assert_eq!(listening(&root).unwrap(), expected);
    }
}
