//! Taking a resource down without any program of DRBD's: `DRBD_ADM_DOWN` over generic netlink, the same for 8.4 and 9 (`drbd_genl.h`).
//!
//! On 8.4 the kernel does not answer while any other request to DRBD is under way, and no signal ends that wait: only a worker that may be
//! given up calls this.

use std::io;

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

use crate::deadline::Deadline;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::net::netlink::{Netlink, Replies};

/// The family that knows the others (`GENL_ID_CTRL`), its request and attributes (linux/genetlink.h).
const CONTROLLER: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const FAMILY_VERSION: u16 = 3;

/// DRBD's request and attributes.
const DOWN: u8 = 27;
const CFG_REPLY: u16 = 1;
const INFO_TEXT: u16 = 1;
const CFG_CONTEXT: u16 = 2;
const RESOURCE_NAME: u16 = 2;

/// The longest name, without its final zero.
const NAME_MAX: usize = 127;

/// What the kernel answers (`enum drbd_ret_code`).
const NO_ERROR: i32 = 101;
const RESOURCE_NOT_KNOWN: i32 = 158;

/// The type of an attribute without its flags: bit 15 says nested, bit 14 is 8.4's for "may not be ignored".
const TYPE: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

/// Makes a resource Secondary, disconnects and detaches it and removes it with its volumes; `false` when the kernel does not have it. Asking
/// may load a module, so call it only when DRBD's is loaded.
///
/// # Errors
/// The kernel refuses, as when a volume is held open, with its text; or it does not answer.
pub fn down(resource: &str, deadline: Deadline) -> Result<bool> {
    let wrong = |why: io::Error| KernelError::new("take down DRBD resource", resource, why);
    if resource.is_empty() || resource.len() > NAME_MAX || resource.contains('\0') {
        return Err(wrong(io::ErrorKind::InvalidInput.into()));
    }
    let mut netlink = Netlink::generic(deadline)?;
    let Some((family, version)) = family(&mut netlink)? else { return Ok(false) };
    let request = Request { family, command: DOWN, version, body: down_body(resource) };
    let replies: Replies<Reply> = netlink.call(request, 0, "take down DRBD resource", resource)?;
    let reply = replies.items.first().and_then(Reply::outcome);
    match reply.ok_or_else(|| wrong(io::Error::other("the kernel's answer can not be read")))? {
        (NO_ERROR, _) => Ok(true),
        (RESOURCE_NOT_KNOWN, _) => Ok(false),
        (code, text) if text.is_empty() => Err(wrong(io::Error::other(format!("refused ({code})")))),
        (code, text) => Err(wrong(io::Error::other(format!("refused ({code}): {text}")))),
    }
}

/// The number and version of DRBD's family; `None` when there is none.
fn family(netlink: &mut Netlink) -> Result<Option<(u16, u8)>> {
    let request = Request { family: CONTROLLER, command: GET_FAMILY, version: 1, body: attribute(FAMILY_NAME, b"drbd\0") };
    let replies: Replies<Reply> = match netlink.call(request, 0, "find netlink family", "drbd") {
        Err(e) if e.errno() == Some(libc::ENOENT) => return Ok(None),
        other => other?,
    };
    let found = replies.items.first().and_then(|reply| family_in(&reply.body));
    let unreadable = || KernelError::new("find netlink family", "drbd", io::Error::other("the kernel's answer can not be read"));
    found.map(Some).ok_or_else(unreadable)
}

fn family_in(body: &[u8]) -> Option<(u16, u8)> {
    let id = find(body, FAMILY_ID)?;
    let version = word(find(body, FAMILY_VERSION)?, 0)?;
    Some((u16::from_ne_bytes(id.get(..2)?.try_into().ok()?), u8::try_from(version).ok()?))
}

/// A header that names no minor (`struct drbd_genlmsghdr`), and the resource by name.
fn down_body(resource: &str) -> Vec<u8> {
    let mut body = u32::MAX.to_ne_bytes().to_vec();
    body.extend(0_u32.to_ne_bytes());
    let name = [resource.as_bytes(), b"\0"].concat();
    body.extend(attribute(CFG_CONTEXT | NESTED, &attribute(RESOURCE_NAME, &name)));
    body
}

/// An attribute, padded to four bytes.
fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + content.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The content of the first attribute of this type.
fn find(mut bytes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let [a, b, c, d] = *bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let content = bytes.get(4..length)?;
        if u16::from_ne_bytes([c, d]) & TYPE == kind {
            return Some(content);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A request to a family: the command, its version, and what follows them.
struct Request {
    family: u16,
    command: u8,
    version: u8,
    body: Vec<u8>,
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        4 + self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let bytes = [&[self.command, self.version, 0, 0], self.body.as_slice()].concat();
        buffer[..bytes.len()].copy_from_slice(&bytes);
    }
}

/// An answer without its command and version.
struct Reply {
    body: Vec<u8>,
}

impl NetlinkDeserializable for Reply {
    type Error = DecodeError;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> std::result::Result<Self, DecodeError> {
        let body = payload.get(4..).ok_or_else(|| DecodeError::from("a generic netlink message is too short"))?;
        Ok(Self { body: body.to_vec() })
    }
}

impl Reply {
    /// The code and what the kernel says to it.
    fn outcome(&self) -> Option<(i32, String)> {
        let code = i32::from_ne_bytes(word(&self.body, 4)?.to_ne_bytes());
        let text = self.body.get(8..).and_then(|attributes| find(find(attributes, CFG_REPLY)?, INFO_TEXT));
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        Some((code, text.trim_matches(['\0', '\n', ' ']).replace('\n', "; ")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_names_the_resource_and_no_minor() {
        let request = Request { family: 30, command: DOWN, version: 1, body: down_body("r0-a") };
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        assert_eq!(bytes[..4], [27, 1, 0, 0]);
        assert_eq!(bytes[4..12], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let context = find(&bytes[12..], CFG_CONTEXT).unwrap();
        assert_eq!(find(context, RESOURCE_NAME), Some(&b"r0-a\0"[..]));
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(bytes[12..16], [[16, 0], (CFG_CONTEXT | NESTED).to_ne_bytes()].concat());
    }

    #[test]
    fn an_answer_has_a_code_and_may_have_a_text() {
        let answer = |code: i32, attributes: &[u8]| {
            let body = [&[0xff; 4], &code.to_ne_bytes()[..], attributes].concat();
            Reply { body }.outcome()
        };
        assert_eq!(answer(101, &[]), Some((101, String::new())));
        // Bit 14 as 8.4 sets it, and an attribute of another type before.
        let text = attribute(0x4000 | INFO_TEXT, b"failed to demote\n\0");
        let attributes = [attribute(9, b"?"), attribute(0x8000 | CFG_REPLY, &text)].concat();
        assert_eq!(answer(-12, &attributes), Some((-12, "failed to demote".to_owned())));
        assert_eq!(Reply { body: vec![0; 7] }.outcome(), None);
    }

    #[test]
    fn an_answer_that_ends_anywhere_is_read_without_a_panic() {
        let text = attribute(INFO_TEXT, b"failed to demote\0");
        let body = [&[0xff; 4], &101_i32.to_ne_bytes()[..], &attribute(CFG_REPLY, &text)].concat();
        for cut in 0..body.len() {
            assert_eq!(Reply { body: body[..cut].to_vec() }.outcome().is_some(), cut >= 8, "{cut}");
            assert_eq!(family_in(&body[..cut]), None);
        }
        assert_eq!(find(&[0, 0, 1, 0], 1), None, "shorter than its own header");
        let family = [attribute(FAMILY_ID, &30_u16.to_ne_bytes()), attribute(FAMILY_VERSION, &2_u32.to_ne_bytes())].concat();
        assert_eq!(family_in(&family), Some((30, 2)));
    }

    #[test]
    fn what_is_no_name_is_not_sent() {
        for name in ["", "a\0b", &"x".repeat(128)] {
            let e = down(name, Deadline::after(Duration::ZERO)).unwrap_err();
            assert_eq!(e.source.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
