//! The programs that judge or show an agent.

use std::fs;

use crate::call::AGENT;
use crate::shell::{sh, sh_within};
use crate::world::{End, World};

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn ocf_tester_is_content() {
    let world = World::down(1);
    world.admin(End::Far, "up");
    let said = sh_within(240, &format!("ocf-tester -n x -o drbd_resource={} -o on_stop_hang=fail {AGENT}", world.resource));
    assert!(said.code == 0 && said.text.ends_with("passed all tests"), "{}", said.text);
    let complains = |line: &str| line.starts_with('*') && !line.ends_with("(optional)");
    assert!(!said.text.lines().any(complains), "{}", said.text);
    assert_eq!(world.sees(End::Near), None);
}

#[test]
#[ignore = "vm: needs pacemaker"]
fn pacemaker_shows_and_validates_it() {
    let world = World::down(1);
    let listed = sh("crm_resource --list-agents ocf:san").ok();
    assert!(listed.lines().any(|line| line.trim() == "DRBD-helper"), "{listed}");
    let shown = sh("crm_resource --show-metadata ocf:san:DRBD-helper").ok();
    assert!(shown.contains("<resource-agent name=\"DRBD-helper\""), "{shown}");
    let validate = "crm_resource --validate --class ocf --provider san --agent DRBD-helper";
    sh(&format!("{validate} --option drbd_resource={}", world.resource)).ok();
    let said = sh(&format!("{validate} --option drbd_resource={} --option guard=perhaps", world.resource));
    assert!(said.code != 0 && said.text.contains("guard"), "{}", said.text);
}

#[test]
#[ignore = "vm: needs pcs"]
fn pcs_describes_and_creates_it_as_a_promotable_clone() {
    let world = World::down(1);
    let shown = sh_within(120, "pcs resource describe ocf:san:DRBD-helper").ok();
    assert!(shown.contains("ocf:san:DRBD-helper") && shown.contains("cold_start_wait"), "{shown}");
    let cib = world.dir.join("cib.xml");
    let empty = "<cib admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\" crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\">\
                 <configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>";
    fs::write(&cib, empty).unwrap();
    let create = |rest: &str| sh_within(120, &format!("pcs -f {} resource create {rest}", cib.display()));
    create("r0 ocf:san:DRBD-helper drbd_resource=r0 promotable notify=true").ok();
    let text = fs::read_to_string(&cib).unwrap();
    assert!(text.contains("provider=\"san\"") && text.contains("promotable") && text.contains("Promoted"), "{text}");
    assert_ne!(create("more ocf:san:DRBD-helper drbd_resource=r1 no_such=1").code, 0);
}

#[test]
#[ignore = "vm: needs crmsh"]
fn crmsh_shows_it() {
    let _world = World::down(1);
    let shown = sh_within(120, "crm ra info ocf:san:DRBD-helper").ok();
    assert!(shown.contains("promotion_scores") && shown.contains("reconnect_policy"), "{shown}");
}
