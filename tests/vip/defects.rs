//! Where `IPaddr2` fails, each by its number in the list that this project began with; what it does is recorded beside what ours does.

use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::call::{bare, peer, v4, v6};
use crate::wire::Wire;
use crate::world::{VIP, VIP6, inside, ip, is_at, pause, places, sysctl, until};

/// 1. Setting a link down takes the routes away and leaves the address.
pub fn a_stop_without_a_route_takes_the_address_away() {
    let call = bare("node1", "start").set("ip", VIP);
    call.run().is(0);
    ip("node1", "link set eth0 down");
    call.action("stop").run().is(0);
    ip("node1", "link set eth0 up");
    assert_eq!(places("node1", VIP).is_empty(), !peer());
}

/// 2. 4.12 does not look at the link at all; versions that do are blind on a nic with an altname.
pub fn an_altname_hides_no_missing_carrier() {
    ip("node1", "link property add dev eth0 altname enp9s0");
    let call = v4("node1", "monitor");
    call.action("start").run().is(0);
    call.run().is(0);
    ip("client", "link set p1 down");
    until("no carrier", 5, || ip("node1", "link show eth0").contains("NO-CARRIER"));
    call.run().differs(1, 0);
    call.clone().set("nic", "enp9s0").run().differs(1, 7);
    ip("node1", "link set eth0 down");
    call.run().differs(1, 0);
}

/// 4. Debian's `send_arp` keeps a pid file and is killed by stop; that of the Red Hat family goes on for seconds.
pub fn nothing_is_announced_after_a_stop() {
    let wire = Wire::at("client", "br0");
    let call = v4("node1", "start").set("arp_interval", "500").set("arp_count", "6");
    call.run().is(0);
    until("it is announced", 10, || !wire.claims(VIP).is_empty());
    call.action("stop").run().is(0);
    let stopped = wire.now() + Duration::from_millis(100);
    pause(3000);
    let late: Vec<_> = wire.claims(VIP).into_iter().filter(|frame| frame.at > stopped).collect();
    assert!(late.is_empty(), "{late:?}");
}

/// 5. IPv6 addresses have no labels, so one can only be ignored. 4.12 does so in silence; later versions that look at labels never start.
pub fn v6_with_a_label_starts() {
    let call = v6("node1", "start").set("iflabel", "1").set("nodad", "true");
    let answer = call.run().is(0);
    assert_eq!(places("node1", VIP6).len(), 1);
    assert!(peer() || answer.text.contains("iflabel") || crate::world::log().contains("iflabel"), "{}", answer.text);
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP6), [""; 0]);
}

/// 7. A failed stop is what fencing follows, so it needs nothing but the address.
pub fn a_stop_with_broken_parameters_succeeds() {
    for (name, value, peer, goes) in [
        ("arp_count", "0", 6, false),
        ("arp_interval", "none", 6, false),
        ("preferred_lft", "", 6, false),
        ("iflabel", "much-too-long", 6, false),
        ("nic", "eth7", 0, false),
        ("cidr_netmask", "99", 0, false),
        ("broadcast", "x", 0, true),
        ("check_link_status", "perhaps", 0, true),
    ] {
        ip("node1", &format!("addr replace {VIP}/24 dev eth0"));
        v4("node1", "stop").set(name, value).run().differs(0, peer);
        assert_eq!(places("node1", VIP).is_empty(), goes || !self::peer(), "{name}={value}");
    }
}

/// 8. A link needs seconds to come up.
pub fn a_link_that_needs_a_second_is_waited_for() {
    ip("client", "link set p1 down");
    let cable = thread::spawn(|| {
        pause(1200);
        ip("client", "link set p1 up");
    });
    let wire = Wire::at("client", "br0");
    v4("node1", "start").set("arp_count", "3").run().is(0);
    cable.join().unwrap();
    // Whoever does not wait announces to nobody.
    until("it is announced on the wire", 8, || peer() || !wire.claims(VIP).is_empty());
    v4("node1", "monitor").run().is(0);
}

/// 9. The kernel deletes the secondary addresses with their primary, unless told to promote them.
pub fn secondaries_stay_when_a_primary_stops() {
    ip("node1", "addr flush dev eth0");
    sysctl("node1", "net/ipv4/conf/all/promote_secondaries", "0");
    sysctl("node1", "net/ipv4/conf/eth0/promote_secondaries", "0");
    let second = |action: &str| v4("node1", action).set("ip", "192.168.7.51").named("p_second");
    v4("node1", "start").run().is(0);
    second("start").run().is(0);
    ip("node1", "addr add 192.168.7.52/24 dev eth0");
    v4("node1", "stop").run().is(0);
    second("monitor").run().differs(0, 7);
    assert_eq!(places("node1", VIP), [""; 0]);
    assert_eq!(is_at("node1", "192.168.7.52", "eth0 24"), !peer());
}

/// In 2.6: the look for a failed detection takes in all of the network.
pub fn an_unrelated_dadfailed_address_hurts_nobody() {
    sysctl("node1", "net/ipv6/conf/eth0/accept_dad", "1");
    ip("node2", "addr add fd00:7::99/64 dev eth0 nodad");
    ip("node1", "addr add fd00:7::99/64 dev eth0");
    until("the kernel finds the duplicate", 10, || places("node1", "fd00:7::99")[0].contains("dadfailed"));
    v6("node1", "start").run().differs(0, 1);
    assert_eq!(places("node1", VIP6).is_empty(), peer());
}

/// In 2.4: an address that was added stays although the start has failed. 4.12 does not see that there is no carrier.
pub fn a_failed_start_leaves_no_address() {
    ip("client", "link set p1 down");
    v4("node1", "start").set("carrier_wait", "1").run().differs(1, 0).says(&["carrier"]);
    assert_eq!(places("node1", VIP).is_empty(), !peer());
}

/// In 2.6: whoever reads standard error to its end waits for the announcing in the background too.
pub fn nobody_is_kept_waiting_by_the_announcing() {
    let mut command = v4("node1", "start").set("arp_interval", "500").set("arp_count", "8").command();
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let since = Instant::now();
    let mut child = inside("node1", || command.spawn().unwrap());
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    let took = since.elapsed();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(peer() || took < Duration::from_secs(3), "{took:?}");
}
