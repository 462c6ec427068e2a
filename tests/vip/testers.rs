//! The program that judges agents.

use crate::call::INSTALLED;
use crate::world::{DIR, STATE, VIP, assert_as_before, places, quiet, sh, traces};

pub fn ocf_tester_is_content() {
    let before = traces("node1");
    let tester = format!(
        "HA_RSCTMP={STATE}/node1 HA_LOGFILE={DIR}/ha.log ip netns exec node1 ocf-tester -n p_vip -o ip={VIP} -o nic=eth0 -o cidr_netmask=24 {INSTALLED}"
    );
    let (code, text) = sh(&tester);
    assert!(code == 0 && text.ends_with("passed all tests"), "{text}");
    let complains = |line: &str| line.starts_with('*') && !line.ends_with("(optional)");
    assert!(!text.lines().any(complains), "{text}");
    quiet();
    assert_as_before("node1", &before);
    assert_eq!(places("node1", VIP), [""; 0]);
}
