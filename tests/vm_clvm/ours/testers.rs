//! The programs that judge or show an agent.

use std::fs;

use crate::call::AGENT;
use crate::shell::{sh, sh_within};
use crate::world::World;

#[test]
#[ignore = "vm: activates volumes"]
fn ocf_tester_is_content() {
    let world = World::with(1, &["one"]);
    let said = sh_within(240, &format!("ocf-tester -n x -o vgname={} -o on_stop_hang=fail {AGENT}", world.vg));
    assert!(said.code == 0 && said.text.ends_with("passed all tests"), "{}", said.text);
    let complains = |line: &str| line.starts_with('*') && !line.ends_with("(optional)");
    assert!(!said.text.lines().any(complains), "{}", said.text);
    world.has(&[]);
}

#[test]
#[ignore = "vm: needs pacemaker"]
fn pacemaker_shows_and_validates_it() {
    let _world = World::bare(0);
    let listed = sh("crm_resource --list-agents ocf:san").ok();
    assert!(listed.lines().any(|line| line.trim() == "cLVM"), "{listed}");
    let shown = sh("crm_resource --show-metadata ocf:san:cLVM").ok();
    assert!(shown.contains("<resource-agent name=\"cLVM\""), "{shown}");
    let validate = "crm_resource --validate --class ocf --provider san --agent cLVM";
    sh(&format!("{validate} --option vgname=not-here")).ok();
    let said = sh(&format!("{validate} --option vgname=not-here --option vg_access_mode=clvmd"));
    assert!(said.code != 0 && said.text.contains("lvmlockd"), "{}", said.text);
}

#[test]
#[ignore = "vm: needs pcs"]
fn pcs_describes_and_creates_it() {
    let world = World::bare(0);
    let shown = sh_within(120, "pcs resource describe ocf:san:cLVM").ok();
    assert!(shown.contains("ocf:san:cLVM") && shown.contains("pool_warn"), "{shown}");
    let cib = world.dir.join("cib.xml");
    let empty = "<cib admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\" crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\">\
                 <configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>";
    fs::write(&cib, empty).unwrap();
    let create = |rest: &str| sh_within(120, &format!("pcs -f {} resource create {rest}", cib.display()));
    create("data ocf:san:cLVM vgname=data vg_access_mode=system_id").ok();
    let text = fs::read_to_string(&cib).unwrap();
    assert!(text.contains("provider=\"san\"") && text.contains("OCF_CHECK_LEVEL"), "{text}");
    assert_ne!(create("more ocf:san:cLVM vgname=more no_such=1").code, 0);
}

#[test]
#[ignore = "vm: needs crmsh"]
fn crmsh_shows_it() {
    let _world = World::bare(0);
    let shown = sh_within(120, "crm ra info ocf:san:cLVM").ok();
    assert!(shown.contains("on_stop_hang") && shown.contains("system_ids"), "{shown}");
}
