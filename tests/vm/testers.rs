//! The programs that judge or show an agent.

use super::file;
use super::tree;
use super::world::{AGENT, World, sh, sh_within};

#[test]
#[ignore = "vm: builds targets"]
fn ocf_tester_is_content() {
    let world = World::warm();
    let file = world.write(&file::captured(&world));
    let before = tree::snapshot();
    let said = sh_within(240, &format!("ocf-tester -n x -o config={} -o on_stop_hang=fail {AGENT}", file.display()));
    assert!(said.code == 0 && said.text.ends_with("passed all tests"), "{}", said.text);
    let complains = |line: &str| line.starts_with('*') && !line.ends_with("(optional)");
    assert!(!said.text.lines().any(complains), "{}", said.text);
    tree::assert_unchanged(&before);
}

#[test]
#[ignore = "vm: needs pacemaker"]
fn pacemaker_shows_and_validates_it() {
    let world = World::warm();
    let file = world.write(&file::captured(&world));
    let listed = sh("crm_resource --list-agents ocf:san").ok();
    assert!(listed.lines().any(|line| line.trim() == "LIO"), "{listed}");
    let shown = sh("crm_resource --show-metadata ocf:san:LIO").ok();
    assert!(shown.contains("<resource-agent name=\"LIO\""), "{shown}");
    let validate = "crm_resource --validate --class ocf --provider san --agent LIO";
    sh(&format!("{validate} --option config={}", file.display())).ok();
    let said = sh(&format!("{validate} --option config=/nowhere.json"));
    assert!(said.code != 0 && said.text.contains("/nowhere.json"), "{}", said.text);
}

#[test]
#[ignore = "vm: needs pcs"]
fn pcs_describes_and_creates_it() {
    let world = World::new();
    let shown = sh_within(120, "pcs resource describe ocf:san:LIO").ok();
    assert!(shown.contains("ocf:san:LIO") && shown.contains("fail_backend"), "{shown}");
    let cib = world.dir.join("cib.xml");
    std::fs::write(
        &cib,
        "<cib admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\" crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\">\
         <configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>",
    )
    .unwrap();
    let create = format!("pcs -f {} resource create lio1 ocf:san:LIO config=/etc/san.json fail_backend=yes", cib.display());
    let said = sh_within(120, &create);
    assert_eq!(said.code, 0, "{}", said.text);
    let text = std::fs::read_to_string(&cib).unwrap();
    assert!(text.contains("provider=\"san\"") && text.contains("name=\"stop\""), "{text}");
    let wrong = sh_within(120, &format!("pcs -f {} resource create lio2 ocf:san:LIO no_such=1", cib.display()));
    assert_ne!(wrong.code, 0, "{}", wrong.text);
}

#[test]
#[ignore = "vm: needs crmsh"]
fn crmsh_shows_it() {
    let _world = World::new();
    let shown = sh_within(120, "crm ra info ocf:san:LIO").ok();
    assert!(shown.contains("on_stop_hang") && shown.contains("saveconfig.json"), "{shown}");
}
