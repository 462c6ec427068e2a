//! The LIO agent on a tree that a real kernel showed (tests/fixtures/lio). What acting does is seen in the VM suite; here it only looks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ocf_san::agents::lio::LIO;
use ocf_san::deadline::Deadline;
use ocf_san::kernel::attr::Root;
use ocf_san::ocf::env::Env;
use ocf_san::ocf::error::Code;
use ocf_san::ocf::run::{Answer, Context, act, prepare};

const IQN: &str = "iqn.2016-09.com.example:iscsitgt01";
const TPG: &str = "sys/kernel/config/target/iscsi/iqn.2016-09.com.example:iscsitgt01/tpgt_1";

/// A directory that looks like the machine the captures are from, in memory: it is a thousand files each time.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap());
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lio");
        let read = |name: &str| String::from_utf8_lossy(&fs::read(fixtures.join(name)).unwrap()).into_owned();
        let target = machine.path("sys/kernel/config/target");
        for dir in
            read("dirs.txt").lines().filter(|dir| *dir != "." && !dir.ends_with("statistics") && !dir.contains("statistics/"))
        {
            fs::create_dir_all(target.join(dir)).unwrap();
        }
        for line in read("attrs.tsv").lines().filter(|line| !line.contains("/statistics/")) {
            let (path, content) = line.split_once('\t').unwrap();
            let path = target.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.replace('~', "\n")).unwrap();
        }
        for line in read("links.txt").lines() {
            let (path, to) = line.split_once(" -> ").unwrap();
            let path = target.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(to, path).unwrap();
        }
        machine.write("etc/target/saveconfig.json", &read("saveconfig.json"));
        for n in 0..4 {
            machine.write(&format!("dev/vg1/lv-lun{n}"), &format!("253:{n}"));
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    fn lio(&self, action: &str, vars: &[(&str, &str)]) -> Answer {
        let env: Env = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let root = Root::fake(self.0.path());
        let cx = Context { root: &root, env: &env, deadline: Deadline::after(Duration::from_secs(20)), progress: &|_| {} };
        match prepare(&LIO, action, &env) {
            Ok(params) => act(&LIO, action, &params, &cx),
            Err(e) => e.into(),
        }
    }

    fn monitor(&self, level: &str) -> (Code, String) {
        let answer = self.lio("monitor", &[("OCF_CHECK_LEVEL", level), ("OCF_RESKEY_CRM_meta_interval", "10000")]);
        (answer.code, answer.reason.unwrap_or_default())
    }
}

#[test]
fn what_targetctl_built_from_the_file_is_running_and_has_not_drifted() {
    let machine = Machine::new();
    assert_eq!(machine.monitor("0"), (Code::Success, String::new()));
    assert_eq!(machine.monitor("10"), (Code::Success, String::new()));
}

#[test]
fn nothing_of_ours_in_configfs_is_not_running() {
    let machine = Machine::new();
    machine.remove("sys/kernel/config/target");
    assert_eq!(machine.monitor("0").0, Code::NotRunning);
    machine.remove("etc/target/saveconfig.json");
    assert_eq!(machine.monitor("0").0, Code::NotRunning);
    assert_eq!(machine.lio("stop", &[]).code, Code::Success);
}

#[test]
fn half_built_is_neither_running_nor_stopped_and_the_reason_says_what_is_missing() {
    let cases = [
        (format!("{TPG}/lun/lun_2"), "LUN 2 of iqn.2016-09.com.example:iscsitgt01 tpgt_1 is missing"),
        (format!("{TPG}/np/192.168.77.100:3260"), "portal 192.168.77.100:3260 of"),
        (
            format!("{TPG}/acls/iqn.2016-09.com.example:initiator03"),
            "mapped LUN 3 of iqn.2016-09.com.example:initiator03 is missing",
        ),
        (format!("{TPG}/acls/iqn.2016-09.com.example:initiator03/lun_1"), "mapped LUN 1 of"),
        ("sys/kernel/config/target/core/iblock_0".to_owned(), "backstore lun3 is missing"),
        (TPG.to_owned(), "iqn.2016-09.com.example:iscsitgt01 tpgt_1 is missing"),
        ("sys/kernel/config/target/iscsi/iqn.2016-09.com.example:iscsitgt01".to_owned(), "no target, but backstore"),
    ];
    for (path, expected) in cases {
        let machine = Machine::new();
        machine.remove(&path);
        let (code, reason) = machine.monitor("0");
        assert_eq!(code, Code::Generic, "{path}");
        assert!(reason.contains(expected), "{path}: {reason}");
    }
    let machine = Machine::new();
    machine.write(&format!("{TPG}/enable"), "0\n");
    assert_eq!(machine.monitor("0").0, Code::Generic);
}

#[test]
fn level_10_reports_the_first_difference_and_no_secret() {
    let acl = format!("{TPG}/acls/iqn.2016-09.com.example:initiator04");
    let cases = [
        (format!("{TPG}/attrib/authentication"), "1\n", "authentication is 1, configured is 0"),
        (format!("{TPG}/param/MaxConnections"), "4\n", "MaxConnections is 4, configured is 1"),
        (format!("{acl}/auth/password"), "other-secret", "auth/password differs"),
        (format!("{acl}/lun_0/write_protect"), "1\n", "write_protect of mapped LUN 0 differs"),
        (format!("{TPG}/acls/iqn.2016-09.com.example:intruder/tag"), "", "ACL iqn.2016-09.com.example:intruder is not in"),
        (
            "sys/kernel/config/target/core/iblock_0/lun3/wwn/vpd_unit_serial".to_owned(),
            "T10 VPD Unit Serial Number: 0\n",
            "backstore lun3: the unit serial number differs",
        ),
    ];
    for (path, content, expected) in cases {
        let machine = Machine::new();
        machine.write(&path, content);
        assert_eq!(machine.monitor("0").0, Code::Success, "level 0 does not compare: {path}");
        let (code, reason) = machine.monitor("10");
        assert_eq!(code, Code::Degraded, "{path}");
        assert!(reason.contains(expected), "{path}: {reason}");
        assert!(!reason.contains("secret") && !reason.contains("password-user"), "{reason}");
    }
}

#[test]
fn iqn_limits_the_resource_to_some_of_the_targets() {
    let machine = Machine::new();
    assert_eq!(machine.lio("monitor", &[("OCF_RESKEY_iqn", IQN)]).code, Code::Success);
    let answer = machine.lio("start", &[("OCF_RESKEY_iqn", "iqn.2016-09.com.example:other")]);
    assert_eq!(answer.code, Code::Args);
    assert!(answer.reason.unwrap().starts_with("iqn: iqn.2016-09.com.example:other is not in"));
    let answer = machine.lio("monitor", &[("OCF_RESKEY_iqn", "not a name")]);
    assert_eq!(answer.code, Code::Configured);
}

#[test]
fn a_file_with_secrets_that_others_can_read_is_refused_unless_allowed() {
    let machine = Machine::new();
    machine.remove("sys/kernel/config/target/iscsi");
    fs::set_permissions(machine.path("etc/target/saveconfig.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let answer = machine.lio("validate-all", &[]);
    assert_eq!(answer.code, Code::Args);
    assert!(answer.reason.unwrap().contains("mode 0644 is open to others; chmod 600"));
    assert_eq!(machine.lio("validate-all", &[("OCF_RESKEY_allow_readable_config", "yes")]).code, Code::Success);
}

#[test]
fn something_that_may_be_ours_is_never_called_not_running() {
    let machine = Machine::new();
    fs::set_permissions(machine.path("etc/target/saveconfig.json"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(machine.monitor("0").0, Code::Success, "who else can read the file does not matter to what runs");
    machine.write("etc/target/saveconfig.json", "{");
    for action in ["monitor", "stop"] {
        let answer = machine.lio(action, &[]);
        assert_eq!(answer.code, Code::Generic, "{action}");
        assert!(answer.reason.unwrap().contains("is iqn.2016-09.com.example:iscsitgt01 ours? /etc/target"), "{action}");
    }
    let answer = machine.lio("monitor", &[("OCF_RESKEY_iqn", IQN)]);
    assert_eq!(answer.code, Code::Success, "named by iqn, it is known without the file");
}

/// What another resource, `other`, recorded as its own: the target and backstore lun3.
fn recorded_by_another(machine: &Machine) {
    let record =
        format!(r#"{{"inventory":{{"targets":[{{"iqn":"{IQN}"}}],"backstores":[{{"hba":"iblock_0","name":"lun3"}}]}}}}"#);
    machine.write("run/resource-agents/ocf-san.LIO-other.record", &record);
}

#[test]
fn what_another_resource_recorded_is_not_ours() {
    let machine = Machine::new();
    recorded_by_another(&machine);
    assert_eq!(machine.monitor("0").0, Code::NotRunning);
    assert_eq!(machine.lio("stop", &[]).code, Code::Success);
    assert!(machine.path(TPG).exists() && machine.path("sys/kernel/config/target/core/iblock_0/lun3").exists());
    let answer = machine.lio("start", &[]);
    assert_eq!((answer.code, answer.reason.unwrap().as_str()), (Code::Generic, &*format!("{IQN} is run by resource other")));
    // With a broken file the target of the other resource is still no riddle.
    machine.write("etc/target/saveconfig.json", "{");
    assert_eq!(machine.monitor("0").0, Code::NotRunning);
}

#[test]
fn a_record_whose_targets_are_gone_claims_nothing() {
    let machine = Machine::new();
    machine.write(
        "run/resource-agents/ocf-san.LIO-old.record",
        r#"{"inventory":{"targets":[{"iqn":"iqn.2016-09.com.example:gone"}],"backstores":[{"hba":"iblock_0","name":"lun3"}]}}"#,
    );
    machine.write("run/resource-agents/ocf-san.LIO-broken.record", "not JSON");
    assert_eq!(machine.monitor("0").0, Code::Success);
}

#[test]
fn a_stop_with_an_iqn_that_names_nothing_goes_by_the_record_alone() {
    let machine = Machine::new();
    let answer = machine.lio("stop", &[("OCF_RESKEY_iqn", "typo")]);
    assert_eq!(answer.code, Code::Success);
    assert!(machine.path(TPG).exists(), "not ours, so not touched");
}

#[test]
fn nor_does_a_stop_with_a_configuration_that_names_nothing_take_down_what_the_usual_one_names() {
    let machine = Machine::new();
    assert_eq!(machine.lio("stop", &[("OCF_RESKEY_config", "lun2.json")]).code, Code::Success);
    assert!(machine.path(TPG).exists(), "not ours, so not touched");
}

/// As after docs/moving-over.md: another agent has started it, and nothing is started anew.
#[test]
fn what_runs_without_a_record_is_written_down_by_a_monitor_of_pacemakers_and_is_known_without_the_file_then() {
    let machine = Machine::new();
    let pacemaker = |interval| [("OCF_RESKEY_crm_feature_set", "3.17.0"), ("OCF_RESKEY_CRM_meta_interval", interval)];
    let broken = |env: &[(&str, &str)]| {
        assert_eq!(machine.lio("monitor", env).code, Code::Success);
        let was = fs::read_to_string(machine.path("etc/target/saveconfig.json")).unwrap();
        machine.write("etc/target/saveconfig.json", "{");
        let code = machine.lio("monitor", env).code;
        machine.write("etc/target/saveconfig.json", &was);
        code
    };
    assert_eq!(broken(&[]), Code::Generic, "by hand nothing is written down");
    assert_eq!(broken(&pacemaker("0")), Code::Generic, "nor by a probe");
    assert_eq!(broken(&pacemaker("10000")), Code::Success);
}

#[test]
fn a_record_that_can_not_be_understood_gives_way_to_the_configuration() {
    let machine = Machine::new();
    for text in ["not JSON", "[]"] {
        machine.write("run/resource-agents/ocf-san.LIO-default.record", text);
        assert_eq!(machine.monitor("0"), (Code::Success, String::new()), "{text}");
    }
}

#[test]
fn a_record_of_which_nothing_is_left_hides_nothing_that_is_there() {
    let machine = Machine::new();
    let stale =
        r#"{"inventory":{"targets":[{"iqn":"iqn.2016-09.com.example:gone"}],"backstores":[{"hba":"iblock_9","name":"gone"}]}}"#;
    machine.write("run/resource-agents/ocf-san.LIO-default.record", stale);
    assert_eq!(machine.monitor("0").0, Code::Success, "what the configuration names is live");
    // With a broken configuration the record is the whole truth: ours was something else, and is gone.
    machine.write("etc/target/saveconfig.json", "{");
    assert_eq!(machine.monitor("0").0, Code::NotRunning);
    assert_eq!(machine.lio("stop", &[]).code, Code::Success);
    assert!(machine.path(TPG).exists());
}

#[test]
fn a_record_does_not_claim_what_another_resource_has_since() {
    let machine = Machine::new();
    let record = format!(r#"{{"inventory":{{"targets":[{{"iqn":"{IQN}"}}]}}}}"#);
    machine.write("run/resource-agents/ocf-san.LIO-default.record", &record);
    recorded_by_another(&machine);
    assert_eq!(machine.monitor("0").0, Code::NotRunning);
    assert_eq!(machine.lio("stop", &[]).code, Code::Success);
    assert!(machine.path(TPG).exists());
}

#[test]
fn a_backstore_that_was_made_and_not_enabled_is_half_built() {
    let machine = Machine::new();
    machine.remove("sys/kernel/config/target/iscsi");
    for n in 1..4 {
        machine.remove(&format!("sys/kernel/config/target/core/iblock_{n}"));
    }
    machine.write("sys/kernel/config/target/core/iblock_0/lun3/enable", "0\n");
    let (code, reason) = machine.monitor("0");
    assert_eq!((code, reason.as_str()), (Code::Generic, "no target, but backstore iblock_0/lun3 is there"));
    assert_eq!(machine.lio("stop", &[]).code, Code::Success);
    assert!(!machine.path("sys/kernel/config/target/core/iblock_0").exists());
}

#[test]
fn lio_without_configfs_can_not_be_seen_and_is_not_called_stopped() {
    let machine = Machine::new();
    machine.remove("sys/kernel/config/target");
    machine.write("sys/module/target_core_mod/refcnt", "1\n");
    let (code, reason) = machine.monitor("0");
    assert_eq!(code, Code::Generic);
    assert!(reason.contains("configfs is not mounted"), "{reason}");
}

#[test]
fn attributes_that_do_nothing_and_the_order_of_the_file_are_no_drift() {
    let machine = Machine::new();
    let mut config: serde_json::Value = serde_json::from_str(include_str!("fixtures/lio/saveconfig.json")).unwrap();
    for so in config["storage_objects"].as_array_mut().unwrap() {
        so["attributes"]["emulate_dpo"] = 0.into();
        so["attributes"]["hw_max_sectors"] = 1.into();
    }
    config["storage_objects"].as_array_mut().unwrap().reverse();
    machine.write("etc/target/saveconfig.json", &config.to_string());
    assert_eq!(machine.monitor("10"), (Code::Success, String::new()));
}

#[test]
fn preflight_names_what_is_wrong_on_this_machine() {
    let level10 = [("OCF_CHECK_LEVEL", "10")];
    let validate = |prepare: &dyn Fn(&Machine)| {
        let machine = Machine::new();
        prepare(&machine);
        let answer = machine.lio("validate-all", &level10);
        (answer.code, answer.reason.unwrap_or_default())
    };
    assert_eq!(validate(&|_| ()).0, Code::Success);
    let (code, reason) = validate(&|m| m.remove("dev/vg1/lv-lun3"));
    assert_eq!((code, reason.as_str()), (Code::Args, "backstore lun3: /dev/vg1/lv-lun3: no such file or directory"));
    let (code, reason) = validate(&|m| m.write("dev/vg1/lv-lun3", "nothing like a device"));
    assert_eq!((code, reason.as_str()), (Code::Args, "backstore lun3: /dev/vg1/lv-lun3 is no block device"));
    let (code, reason) = validate(&|m| {
        m.remove("sys/kernel/config/target/iscsi");
        let header = "  sl  local_address rem_address   st\n";
        m.write("proc/net/tcp", &format!("{header}   0: 644DA8C0:0CBC 00000000:0000 0A 0\n"));
    });
    assert_eq!(code, Code::Generic);
    assert_eq!(reason, "portal 192.168.77.100:3260 is taken by another program on 192.168.77.100 port 3260");
    let (code, reason) = validate(&|m| {
        m.write("sys/kernel/config/target/core/iblock_0/lun3/udev_path", "/dev/sdz\n");
    });
    assert_eq!((code, reason.as_str()), (Code::Generic, "backstore iblock_0/lun3 is there with another device, /dev/sdz"));
}
