//! The program that judges agents.

use crate::call::INSTALLED;
use crate::world::{DIR, STATE, VIP, ip, places, quiet, sh};

pub fn ocf_tester_is_content() {
    let before = ip("node1", "-o addr");
    let tester = format!(
        "HA_RSCTMP={STATE}/node1 HA_LOGFILE={DIR}/ha.log ip netns exec node1 ocf-tester -n p_vip -o ip={VIP} -o nic=eth0 -o cidr_netmask=24 {INSTALLED}"
    );
    let (code, text) = sh(&tester);
    assert!(code == 0 && text.ends_with("passed all tests"), "{text}");
    let complains = |line: &str| line.starts_with('*') && !line.ends_with("(optional)");
    assert!(!text.lines().any(complains), "{text}");
    quiet();
    assert_eq!(ip("node1", "-o addr"), before);
    assert_eq!(places("node1", VIP), [""; 0]);
}
