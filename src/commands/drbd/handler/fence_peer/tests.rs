//! The handler as a whole, before tools that play the cluster.

use std::cell::RefCell;

use super::super::Call;
use super::*;
use crate::kernel::attr::Root;
use crate::ocf::env::Env;

#[test]
fn options_of_crm_fence_peer_have_their_effect_or_are_said_to_have_none() {
    let options = |args: &[&str]| FENCE_PEER.command().try_get_matches_from([&["fence-peer"], args].concat()).unwrap();
    assert_eq!(answer(&options(&[])), ANSWER);
    for (given, seconds) in [("3", 3), ("3s", 3), ("0", 1), ("20", 6), ("soon", 6)] {
        assert_eq!(answer(&options(&["--dc-timeout", given])), Duration::from_secs(seconds), "{given}");
    }
    let all = options(&["--fencing-attribute", "#site", "--net-hickup=2", "--dc-timeout=5"]);
    assert_eq!(ignored(&all), ["fencing-attribute", "network-hickup"]);
    assert!(ignored(&options(&["--quiet"])).is_empty());
}

#[test]
fn no_look_is_begun_that_would_leave_no_time_to_act() {
    let seconds = Duration::from_secs;
    assert!(has_time_for_another(seconds(1), seconds(12)));
    assert!(!has_time_for_another(seconds(8), seconds(11)), "the next would end after 8 s, and a constraint takes seconds too");
    assert!(!has_time_for_another(Duration::ZERO, Duration::ZERO));
}

/// A cluster of two without fencing, whose other node is gone, or whatever CIB says.
const CIBADMIN: &str = "#!/bin/sh
cd DIR || exit 1
case \"${0##*/} $1\" in
'cibadmin --query') sleep SECONDS; cat cib.xml;;
'cibadmin --create') echo created >>did; CREATE;;
*) exit 1;;
esac
";
const CIB: &str = "<cib have-quorum='1'><configuration><crm_config><nvpair name='stonith-enabled' value='FENCES'/></crm_config>\
    <nodes><node uname='n1'/><node uname='n2'/></nodes><resources><clone id='c'>\
    <primitive id='p' class='ocf' provider='san' type='DRBD-helper'><instance_attributes>\
    <nvpair name='drbd_resource' value='r0'/></instance_attributes></primitive></clone></resources><constraints/></configuration>\
    <status><node_state uname='n2' in_ccm='false' crmd='offline' expected='member'/></status></cib>";

/// The answer of n1 in this state, whose membership is that many seconds old, and whether it placed a constraint.
fn answer_of(state: &str, ring: i64, fences: &str, sleep: &str, create: &str) -> (u8, String, bool) {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    settled::tests::write(&root, "ringid_1", ring);
    let tool = CIBADMIN.replace("DIR", &keep.path().display().to_string()).replace("SECONDS", sleep).replace("CREATE", create);
    for name in ["cibadmin", "crmadmin"] {
        crate::script::write(root.dir("/usr/sbin").path().join(name), &tool);
    }
    root.dir("/").set("cib.xml", &CIB.replace("FENCES", fences)).unwrap();
    root.dir("/proc/sys/kernel").set("hostname", "n1").unwrap();
    let state = format!(
        "version: 8.4.11 (api:1/proto:86-101)\n10: cs:WFConnection ro:{state}\n    \
         ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:1 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"
    );
    root.dir("/proc").set("drbd", &state).unwrap();
    let (env, call) = (Env::default(), Call { minors: vec![10], volumes: vec![0], peers: vec!["n2".into()], ..Call::default() });
    let options = FENCE_PEER.command().try_get_matches_from(["fence-peer"]).unwrap();
    let (deadline, afterwards) = (Deadline::after(Duration::from_secs(4)), RefCell::new(None));
    let work = Work { root: &root, env: &env, call: &call, resource: "r0", options: &options, deadline, afterwards: &afterwards };
    let outcome = act(&work).unwrap();
    (outcome.code, outcome.result, keep.path().join("did").exists())
}

const FROZEN: &str = "Primary/Unknown ds:UpToDate/DUnknown C s-----";

#[test]
fn the_io_of_a_primary_goes_on_only_when_the_membership_is_settled() {
    let placed = || (5, "constraint-placed".to_owned(), true);
    let not_placed = || (BROKEN, "not-placed".to_owned(), false);
    assert_eq!(answer_of(FROZEN, 60, "false", "0", ":"), placed());
    assert_eq!(answer_of(FROZEN, 4, "false", "0", ":"), placed(), "it waits for that");
    assert_eq!(answer_of(FROZEN, 0, "false", "0", ":"), not_placed());
    assert_eq!(answer_of(FROZEN, 5, "false", "3", ":"), not_placed(), "the CIB was read when it had just changed");
    let fences = answer_of(FROZEN, 0, "true", "0", ":");
    assert_eq!(fences, placed(), "with fencing it waits for that, and not for the membership");
    for other in ["Secondary/Unknown ds:UpToDate/DUnknown C r-----", "Primary/Unknown ds:UpToDate/DUnknown C r-----"] {
        assert_eq!(answer_of(other, 0, "false", "0", ":"), placed(), "{other}");
    }
}

#[test]
fn a_membership_that_changes_while_the_constraint_is_placed_lets_nothing_go_on() {
    let changes = "date >var/lib/corosync/ringid_1";
    assert_eq!(answer_of(FROZEN, 60, "false", "0", changes), (BROKEN, "not-placed".to_owned(), true));
}
