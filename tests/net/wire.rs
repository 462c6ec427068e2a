//! What is announced, and who else has an address.

use std::time::{Duration, Instant};

use std::net::IpAddr;

use ocf_san::deadline::Deadline;
use ocf_san::kernel::net::announce::{Announcer, Form};
use ocf_san::kernel::net::duplicate::{Asking, find_duplicate};
use ocf_san::kernel::net::hw::{HwAddr, HwLink};
use ocf_san::kernel::net::packet::{advertisement, arp_reply, arp_request};
use ocf_san::kernel::process::{Child, Ending, Setup};

use super::links::*;

fn frame(to: &[u8], protocol: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [to, &left().address.0, &protocol, packet].concat()
}

pub fn arp_is_announced_to_the_other_end_byte_by_byte_in_the_form_asked_for() {
    pair();
    let IpAddr::V4(vip) = address(VIP4) else { unreachable!() };
    let request = frame(&[0xff; 6], [8, 6], &arp_request(vip, &left()).unwrap());
    let reply = frame(&[0xff; 6], [8, 6], &arp_reply(vip, &left()).unwrap());
    assert_eq!(request[20..42], [0, 1, 2, 0, 0, 0, 0, 0x11, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 1]);
    for (form, expected) in
        [(Form::Both, vec![request.clone(), reply.clone()]), (Form::Request, vec![request]), (Form::Reply, vec![reply])]
    {
        let tap = Tap::open();
        Announcer::open(vip.into(), &left(), form, false).unwrap().announce().unwrap();
        assert_eq!(tap.heard(|frame| frame[12..14] == [8, 6]), expected, "{form:?}");
    }
}

pub fn a_neighbor_advertisement_goes_to_every_node_byte_by_byte() {
    pair();
    let IpAddr::V6(vip) = address(VIP6) else { unreachable!() };
    for is_router in [false, true] {
        let tap = Tap::open();
        Announcer::open(vip.into(), &left(), Form::Both, is_router).unwrap().announce().unwrap();
        let ours = |frame: &[u8]| frame.get(54) == Some(&136) && frame.get(62..78) == Some(&vip.octets());
        let expected = frame(&[0x33, 0x33, 0, 0, 0, 1], [0x86, 0xdd], &advertisement(vip, &left(), is_router).unwrap());
        assert_eq!(tap.heard(ours), [expected]);
    }
}

pub fn the_other_ends_caches_follow_an_announcement() {
    pair();
    for (vip, form) in [(VIP4, Form::Request), (VIP4, Form::Reply), (VIP4, Form::Both), (VIP6, Form::Both)] {
        ip(&format!("neighbor replace {vip} lladdr 02:00:00:00:00:99 dev right nud stale"));
        Announcer::open(address(vip), &left(), form, false).unwrap().announce().unwrap();
        let limit = Deadline::after(Duration::from_secs(2));
        loop {
            let shown = ip(&format!("neighbor show {vip} dev right"));
            if shown.contains(&left().address.to_string()) {
                break;
            }
            assert!(!limit.is_past(), "{vip} {form:?}: {shown}");
        }
    }
}

pub fn what_is_announced_on_a_link_that_is_down_is_an_error() {
    pair();
    let announcer = Announcer::open(address(VIP4), &left(), Form::Both, false).unwrap();
    ip("link set left down");
    let error = announcer.announce().unwrap_err();
    assert_eq!((error.errno(), error.to_string().as_str()), (Some(libc::ENETDOWN), "announce 10.9.0.1: network is down"));
    ip("link del left");
    assert_eq!(announcer.announce().unwrap_err().errno(), Some(libc::ENXIO));
    let loopback = HwLink { index: 1, kind: 772, address: HwAddr(vec![0; 6]), broadcast: HwAddr(vec![0; 6]) };
    assert!(Announcer::open(address(VIP4), &loopback, Form::Both, false).is_err());
}

pub fn who_has_an_address_is_found_at_once_and_an_address_nobody_has_is_free() {
    pair();
    ip(&format!("addr add {VIP4}/24 dev right"));
    ip(&format!("addr add {VIP6}/64 dev right nodad"));
    for (taken, free) in [(VIP4, PEER4), (VIP6, PEER6)] {
        let before = Instant::now();
        assert_eq!(find_duplicate(address(taken), &left(), &[], Asking::BeforeTakingIt, soon()).unwrap(), Some(right().address));
        assert!(before.elapsed() < Duration::from_millis(400), "{taken}: {:?}", before.elapsed());
        for (vip, own) in [(free, vec![]), (taken, vec![right().address])] {
            let before = Instant::now();
            assert_eq!(find_duplicate(address(vip), &left(), &own, Asking::BeforeTakingIt, soon()).unwrap(), None);
            let took = before.elapsed();
            assert!(took >= Duration::from_millis(450) && took < Duration::from_millis(700), "{vip}: {took:?}");
        }
    }
}

pub fn of_two_who_want_an_address_at_once_one_finds_the_other() {
    pair();
    for vip in [VIP4, VIP6] {
        let there = Child::fork(Setup::default(), || {
            assert_eq!(
                find_duplicate(address(vip), &right(), &[], Asking::BeforeTakingIt, soon()).unwrap(),
                Some(left().address)
            );
        });
        let here = find_duplicate(address(vip), &left(), &[], Asking::BeforeTakingIt, soon()).unwrap();
        let there = there.unwrap().wait(soon()).unwrap() == Some(Ending::Exited(0));
        // The first to find the other asks no more, so the other may find nothing.
        assert!(there || here.is_some(), "{vip}");
        assert!(here.is_none_or(|found| found == right().address), "{vip}");
    }
}

pub fn looking_for_a_duplicate_ends_at_the_deadline_and_fails_on_a_link_that_is_down() {
    pair();
    for vip in [VIP4, VIP6] {
        let before = Instant::now();
        let until = Deadline::after(Duration::from_millis(100));
        assert_eq!(find_duplicate(address(vip), &left(), &[], Asking::BeforeTakingIt, until).unwrap(), None);
        assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
    }
    ip("link set left down");
    for vip in [VIP4, VIP6] {
        let error = find_duplicate(address(vip), &left(), &[], Asking::BeforeTakingIt, soon()).unwrap_err();
        assert_eq!((error.errno(), error.to_string()), (Some(libc::ENETDOWN), format!("probe {vip}: network is down")));
    }
}
