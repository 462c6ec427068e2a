//! Two nodes and a client on two bridges, as namespaces `node1`, `node2` and `client`, and what can be seen of them.
//!
//! Of node N: `eth0` (`192.168.7.N/24`, `fd00:7::N/64`) is on `br0`, `eth1` (up, no address) on `br1`. The other ends of their cables are
//! `p1`, `p2`, `q1` and `q2` in `client`, whose own addresses end in 254 and fe. No interface makes itself a link-local address.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

/// The address that moves.
pub const VIP: &str = "192.168.7.50";
/// The same of the other family.
pub const VIP6: &str = "fd00:7::50";
/// What a scenario writes; on its own /run, so nothing is there before.
pub const DIR: &str = "/run/scenario";
/// Where agents keep their state, a directory for each node.
pub const STATE: &str = "/run/scenario/state";

/// Makes everything anew.
pub fn build() {
    let _ = fs::remove_dir_all(DIR);
    for node in ["node1", "node2"] {
        fs::create_dir_all(format!("{STATE}/{node}")).unwrap();
    }
    let names = ["node1", "node2", "client"];
    let mut outside = Vec::new();
    if fs::exists("/run/netns/client").unwrap() {
        outside.extend(names.iter().map(|name| format!("netns delete {name}")));
    }
    outside.extend(names.iter().map(|name| format!("netns add {name}")));
    for (node, n) in [("node1", 1), ("node2", 2)] {
        for (nic, cable, k) in [("eth0", 'p', 0), ("eth1", 'q', 1)] {
            let mac = format!("02:00:00:00:0{n}:0{k}");
            outside.push(format!("link add {nic} address {mac} netns {node} type veth peer name {cable}{n} netns client"));
        }
    }
    batch("", &outside);
    let mut client = vec!["link set lo up".to_owned()];
    for bridge in ["br0", "br1"] {
        client.push(format!("link add {bridge} type bridge forward_delay 0 mcast_snooping 0"));
        client.push(format!("link set {bridge} addrgenmode none up"));
    }
    for (port, bridge) in [("p1", "br0"), ("p2", "br0"), ("q1", "br1"), ("q2", "br1")] {
        client.push(format!("link set {port} addrgenmode none master {bridge} up"));
    }
    client.push("addr add 192.168.7.254/24 broadcast + dev br0".to_owned());
    client.push("addr add fd00:7::fe/64 nodad dev br0".to_owned());
    batch("client", &client);
    for (node, n) in [("node1", 1), ("node2", 2)] {
        let v4 = format!("addr add 192.168.7.{n}/24 broadcast + dev eth0");
        let v6 = format!("addr add fd00:7::{n}/64 nodad dev eth0");
        let links = ["lo up", "eth0 addrgenmode none up", "eth1 addrgenmode none up"].map(|link| format!("link set {link}"));
        batch(node, &[&links[..], &[v4, v6]].concat());
    }
    for node in ["node1", "node2"] {
        until("every cable carries", 10, || ip(node, "-o link show up").matches("LOWER_UP").count() == 3);
    }
}

/// Commands for `ip -batch`, which spares an emulated processor a process each.
fn batch(node: &str, commands: &[String]) {
    let file = format!("{DIR}/batch");
    fs::write(&file, commands.join("\n") + "\n").unwrap();
    if node.is_empty() {
        iproute(&["-batch", &file])
    } else {
        iproute(&["-n", node, "-batch", &file])
    };
}

fn iproute(arguments: &[&str]) -> String {
    let out = Command::new("ip").args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim_end().to_owned();
    assert!(out.status.success(), "ip {}: {text}", arguments.join(" "));
    text
}

/// A shell command: its code and what it said.
pub fn sh(command: &str) -> (i32, String) {
    let out = Command::new("timeout").args(["60", "sh", "-c", command]).stdin(Stdio::null()).output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap_or(137), String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// `ip` in a namespace, which must succeed.
pub fn ip(node: &str, arguments: &str) -> String {
    let words: Vec<&str> = ["-n", node].into_iter().chain(arguments.split_whitespace()).collect();
    iproute(&words)
}

/// Writes a /proc/sys file of a namespace.
pub fn sysctl(node: &str, path: &str, value: &str) {
    inside(node, || fs::write(format!("/proc/sys/{path}"), value).unwrap());
}

/// In a namespace. Sockets made there stay there.
pub fn inside<T: Send>(node: &str, body: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{node}")).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            body()
        });
        thread.join().unwrap()
    })
}

/// Every place of an address in a namespace, as `nic prefix`, with whatever `ip` says after it.
pub fn places(node: &str, address: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in ip(node, "-o addr show").lines() {
        let mut words = line.split_whitespace().skip(1);
        let (nic, _family, given) = (words.next().unwrap(), words.next(), words.next().unwrap());
        if let Some((ip, prefix)) = given.split_once('/') {
            if ip == address {
                found.push(format!("{nic} {prefix} {}", words.collect::<Vec<_>>().join(" ")));
            }
        }
    }
    found
}

/// Whether an address is on this nic with this prefix, and nowhere else.
pub fn is_at(node: &str, address: &str, place: &str) -> bool {
    let found = places(node, address);
    found.len() == 1 && found[0].starts_with(&format!("{place} "))
}

/// Waits for something to become true.
pub fn until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A while in which something must not happen.
pub fn pause(millis: u64) {
    sleep(Duration::from_millis(millis));
}

/// The processes of this scenario beside this one: those that share its mounts.
pub fn processes() -> Vec<i32> {
    processes_beside(i32::try_from(std::process::id()).unwrap())
}

/// The processes that share the mounts of this one.
pub fn processes_beside(pid: i32) -> Vec<i32> {
    let Ok(ours) = fs::read_link(format!("/proc/{pid}/ns/mnt")) else { return Vec::new() };
    let runner = fs::read_link("/proc/self/ns/mnt").ok();
    if pid != i32::try_from(std::process::id()).unwrap() && runner.as_ref() == Some(&ours) {
        return Vec::new(); // it has not come as far as namespaces of its own
    }
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(other) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if other != pid && fs::read_link(entry.path().join("ns/mnt")).is_ok_and(|theirs| theirs == ours) {
            found.push(other);
        }
    }
    found
}

/// Waits until no process of the agent is left.
pub fn quiet() {
    until("the agent's processes end", 30, || processes().is_empty());
}

/// All that an agent could leave behind on a node, apart from processes: addresses, routes, labels, which links are up, state files.
pub fn traces(node: &str) -> Vec<String> {
    let file = format!("{DIR}/look");
    fs::write(&file, "route show table all\naddrlabel list\n").unwrap();
    let routes = iproute(&["-n", node, "-6", "-batch", &file]);
    fs::write(&file, "address show\nroute show table all\nlink show up\n").unwrap();
    let all = iproute(&["-n", node, "-o", "-batch", &file]);
    let is_link = |line: &&str| line.contains(" mtu ");
    // Which the kernel adds in its own time.
    let is_multicast = |line: &&str| line.starts_with("multicast ff00::/8");
    // So does it with the link-local addresses that the nics of this world have by themselves.
    let is_automatic = |line: &&str| line.contains("fe80::ff:fe00:");
    let stays = |line: &&str| !is_link(line) && !is_multicast(line) && !is_automatic(line);
    // Without the carrier, which scenarios change.
    let plain = |line: &str| line.replace(" linkdown", "").trim_end().to_owned();
    let mut found: Vec<String> = routes.lines().chain(all.lines()).filter(stays).map(plain).collect();
    let up = all.lines().filter(is_link).filter_map(|line| line.split_whitespace().nth(1));
    found.extend(up.map(|nic| format!("up: {nic}")));
    let files = fs::read_dir(format!("{STATE}/{node}")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // The lock is what two calls at once meet at, so it stays; nobody holds it.
    found.extend(files.filter(|name| name != "ocf-san.VIP-p_vip.lock"));
    found.sort();
    found
}

/// Compares what [`traces`] found before and finds now.
#[track_caller]
pub fn assert_as_before(node: &str, before: &[String]) {
    let now = traces(node);
    let gone: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
    let new: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "{node}: gone: {gone:#?}, new: {new:#?}");
}

/// What agents have logged so far.
pub fn log() -> String {
    fs::read_to_string(format!("{DIR}/ha.log")).unwrap_or_default()
}

/// For whoever reads why a scenario failed.
pub fn picture() -> String {
    let log = log();
    let addresses: Vec<String> = ["node1", "node2"].iter().map(|node| sh(&format!("ip -n {node} addr")).1).collect();
    format!("--- addresses\n{}\n--- state\n{}\n--- log\n{log}", addresses.join("\n"), sh(&format!("ls -lR {STATE}; ip netns")).1)
}
