//! What the cLVM agent says of machines that are wrong in one way each, with an LVM that answers from a file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod script;

use std::fs;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use ocf_san::agents::clvm::Mode;
use ocf_san::agents::clvm::checks::{Facts, warnings};
use ocf_san::deadline::Deadline;
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::lvm::names::VgName;
use ocf_san::ocf::agent::Context;
use ocf_san::ocf::env::Env;

struct Machine {
    _keep: tempfile::TempDir,
    root: Root,
    daemons: Vec<UnixListener>,
}

/// A machine where nothing is wrong in any mode but [`Mode::Tagging`], which needs a list.
const GOOD: &str = "global {\nuse_lvmlockd=1\nsystem_id_source=\"uname\"\nevent_activation=1\n}\n\
                    devices {\nscan_lvs=0\nuse_devicesfile=0\ndevicesfile=\"system.devices\"\nfilter=[\"a|.*|\"]\nglobal_filter=[\"a|.*|\"]\n}\n";

impl Machine {
    fn new(config: &str, row: Option<&str>) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        root.dir("/").set("config", config).unwrap();
        let rows = row.unwrap_or_default();
        root.dir("/").set("report", &format!(r#"{{"report":[{rows}]}}"#)).unwrap();
        let top = keep.path().display();
        let lvm = format!(
            "#!/bin/sh\ncase $1 in lvmconfig) cat {top}/config ;; fullreport) cat {top}/report; {} ;; esac\n",
            if row.is_some() { "true" } else { "exit 5" }
        );
        script::write(root.path("/usr/sbin/lvm"), &lvm);
        Self { _keep: keep, root, daemons: Vec::new() }
    }

    /// With sockets of all daemons; that of lvmlockd answers once.
    fn with_daemons(mut self) -> Self {
        for dir in ["/run/lvm", "/run/sanlock"] {
            fs::create_dir_all(self.root.path(dir)).unwrap();
        }
        let lvmlockd = UnixListener::bind(self.root.path("/run/lvm/lvmlockd.socket")).unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = lvmlockd.accept().unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"\n##\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                heard.extend(byte);
            }
            client.write_all(b"response = \"OK\"\n\n##\n").unwrap();
        });
        self.daemons.push(UnixListener::bind(self.root.path("/run/sanlock/sanlock.sock")).unwrap());
        let name = format!("{}dlmc_query_sock", self.root.path("/").display());
        self.daemons.push(UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap());
        self
    }

    /// With a DRBD device on /dev/vdb.
    fn with_drbd(self) -> Self {
        let root = &self.root;
        root.dir("/dev").set("vdb", "254:16").unwrap();
        root.dir("/sys/dev/block/254:16").set("uevent", "DEVNAME=vdb").unwrap();
        root.dir("/run/udev/data").set("b254:16", "S:disk/by-id/virtio-data\n").unwrap();
        root.dir("/etc/drbd.d").set("r0.res", "resource r0 { device /dev/drbd0; disk /dev/vdb; }").unwrap();
        self
    }

    fn said(&self, mode: Mode, devices: &[String]) -> Vec<String> {
        let deadline = Deadline::after(Duration::from_secs(20));
        let cx = Context { root: &self.root, env: &Env::default(), deadline, progress: &|_| {} };
        let vg = VgName::parse("vg1").unwrap();
        let facts = Facts { vg: &vg, mode, tag: "pacemaker", devices };
        warnings(&cx, &facts, deadline).iter().map(|w| format!("{}{w}", if w.is_fatal { "fatal: " } else { "" })).collect()
    }
}

/// The report on a volume group with one physical volume.
fn row(autoactivation: &str, tags: &str, lock_type: &str, pv: &str) -> String {
    let uuid = "undWAV-mcDk-wQVx-5ixQ-pBhU-tTqG-bnlWDt";
    let vg = serde_json::json!({
        "vg_name": "vg1", "vg_uuid": uuid, "vg_systemid": "", "vg_lock_type": lock_type, "vg_tags": tags, "vg_exported": "0",
        "vg_missing_pv_count": "0", "vg_extent_size": "4194304", "vg_autoactivation": if autoactivation.is_empty() { "0" } else { "1" },
    });
    serde_json::json!({"vg": [vg], "pv": [{"pv_name": pv, "pe_start": "1048576", "pv_missing": "0"}]}).to_string()
}

fn quiet() -> String {
    row("", "", "", "/dev/vdc")
}

#[test]
fn a_machine_where_all_is_well_is_not_warned_of() {
    for mode in [Mode::Local, Mode::SystemId] {
        assert_eq!(Machine::new(GOOD, Some(&quiet())).said(mode, &[]), [""; 0], "{mode:?}");
    }
    let shared = row("enabled", "", "dlm", "/dev/vdc");
    assert_eq!(Machine::new(GOOD, Some(&shared)).with_daemons().said(Mode::Lvmlockd, &[]), [""; 0]);
    let config = format!("{GOOD}activation {{\nvolume_list=[\"vg0\"]\n}}\n");
    assert_eq!(Machine::new(&config, Some(&quiet())).said(Mode::Tagging, &[]), [""; 0]);
}

#[test]
fn without_lvm_the_answer_says_that_nothing_was_checked() {
    let machine = Machine::new(GOOD, None);
    fs::remove_file(machine.root.path("/usr/sbin/lvm")).unwrap();
    let said = machine.said(Mode::Local, &[]);
    assert!(said.len() == 1 && said[0].starts_with("the configuration of lvm can not be checked: find lvm"), "{said:?}");
}

#[test]
fn what_a_mode_lacks_is_fatal() {
    let machine = Machine::new(&GOOD.replace("use_lvmlockd=1", "use_lvmlockd=0").replace("uname", "none"), Some(&quiet()));
    let expected = [
        "fatal: lvm does not use lvmlockd; write to /etc/lvm/lvm.conf: global/use_lvmlockd = 1",
        "fatal: vg1 is not a shared volume group; run: vgchange --lock-type dlm vg1 (or sanlock), with lvmlockd running",
        "fatal: lvmlockd is not running; run: systemctl enable --now lvmlockd",
        "fatal: no lock manager is running behind lvmlockd; run: systemctl enable --now dlm (or wdmd sanlock)",
    ];
    assert_eq!(machine.said(Mode::Lvmlockd, &[]), expected);
    let expected = "fatal: this machine has no system id; write to /etc/lvm/lvm.conf: global/system_id_source = \"uname\"";
    assert_eq!(machine.said(Mode::SystemId, &[]), [expected]);
    let machine = Machine::new(GOOD, Some(&row("", "", "sanlock", "/dev/vdc"))).with_daemons();
    fs::remove_file(machine.root.path("/run/sanlock/sanlock.sock")).unwrap();
    assert_eq!(machine.said(Mode::Lvmlockd, &[]), ["fatal: sanlock is not running; run: systemctl enable --now wdmd sanlock"]);
    let said = machine.said(Mode::Local, &[]);
    assert!(said.len() == 1 && said[0].starts_with("fatal: vg1 is a shared volume group"), "{said:?}");
    let machine = Machine::new(&GOOD.replace("uname", "lvmlocal"), Some(&quiet()));
    assert!(machine.said(Mode::SystemId, &[])[0].ends_with("write to /etc/lvm/lvmlocal.conf: local/system_id = \"NAME\""));
}

#[test]
fn a_volume_list_keeps_a_group_from_being_activated_or_lets_anybody_do_it() {
    let listed = |list: &str, mode| {
        let config = format!("{GOOD}activation {{\nvolume_list=[{list}]\n}}\n");
        Machine::new(&config, Some(&row("", "mine", "", "/dev/vdc"))).said(mode, &[])
    };
    for list in [r#""vg1""#, r#""vg1/lv""#, r#""@mine""#, r#""vg0","@*""#] {
        assert_eq!(listed(list, Mode::Local), [""; 0], "{list}");
    }
    let expected = "fatal: activation/volume_list leaves out vg1, so that nothing of it can be activated; \
                    write to /etc/lvm/lvm.conf: activation/volume_list = [ \"vg0\", \"@other\", \"vg1\" ]";
    assert_eq!(listed(r#""vg0","@other""#, Mode::Local), [expected]);
    for list in [r#""vg0","vg1""#, r#""vg0","vg1/lv""#, r#""vg0","@pacemaker""#, r#""vg0","@*""#] {
        let expected = "activation/volume_list lets this machine activate vg1 without the cluster; \
                        write to /etc/lvm/lvm.conf: activation/volume_list = [ \"vg0\" ]";
        assert_eq!(listed(list, Mode::Tagging), [expected], "{list}");
    }
    let said = Machine::new(GOOD, Some(&quiet())).said(Mode::Tagging, &[]);
    assert!(said.len() == 1 && said[0].starts_with("without activation/volume_list any node can activate vg1"), "{said:?}");
}

#[test]
fn activation_at_boot_is_warned_of_unless_something_keeps_it_from_the_group() {
    let enabled = row("enabled", "", "", "/dev/vdc");
    let said = |config: &str, row: Option<&str>| Machine::new(config, row).said(Mode::Local, &[]);
    let expected = "lvm activates vg1 when its disks appear, without the cluster; run: vgchange --setautoactivation n vg1";
    assert_eq!(said(GOOD, Some(&enabled)), [expected]);
    assert_eq!(said(GOOD, None), [""; 0], "a group that is not seen is not judged");
    let off = GOOD.replace("event_activation=1", "event_activation=0");
    assert_eq!(said(&off, Some(&enabled)), [""; 0]);
    let machine = Machine::new(&off, Some(&enabled));
    machine.root.dir("/usr/lib/systemd/system-generators").set("lvm2-activation-generator", "").unwrap();
    assert_eq!(machine.said(Mode::Local, &[]), [expected]);
    for (list, is_warned) in [("", false), ("\"vg0\"", false), ("\"vg1\"", true)] {
        let config = format!("{GOOD}activation {{\nauto_activation_volume_list=[{list}]\n}}\n");
        assert_eq!(said(&config, Some(&enabled)).len(), usize::from(is_warned), "{list}");
    }
}

#[test]
fn a_disk_that_lvm_sees_beside_the_drbd_device_on_it_is_named_with_a_filter_that_helps() {
    let said = |config: &str, pv: &str, devices: &[String]| {
        Machine::new(config, Some(&row("", "", "", pv))).with_drbd().said(Mode::Local, devices)
    };
    let expected = "lvm sees /dev/vdb beside the drbd device on it; \
                    write to /etc/lvm/lvm.conf: devices/global_filter = [ \"r|^/dev/vdb$|\" ]";
    for pv in ["/dev/drbd0", "/dev/vdb", "/dev/disk/by-id/virtio-data"] {
        assert_eq!(said(GOOD, pv, &[]), [expected], "{pv}");
    }
    assert_eq!(said(GOOD, "/dev/vdc", &[]), [""; 0], "the group is on no drbd device");
    assert_eq!(said(&GOOD.replace("a|.*|", "r|^/dev/vd.*|"), "/dev/drbd0", &[]), [""; 0]);
    let accepting = GOOD.replace("a|.*|", "a|by-id|");
    assert!(
        said(&accepting, "/dev/drbd0", &[])[0]
            .ends_with("[ \"r|^/dev/vdb$|\", \"r|^/dev/block/254:16$|\", \"r|^/dev/disk/by-id/virtio-data$|\", \"a|by-id|\" ]")
    );
    assert_eq!(said(GOOD, "/dev/drbd0", &["/dev/drbd0".to_owned()]), [""; 0]);
    assert!(
        said(GOOD, "/dev/drbd0", &["/dev/vdb".to_owned()])[0]
            .ends_with("run: name the drbd device in devices instead of /dev/vdb")
    );
}

#[test]
fn the_line_for_a_second_disk_has_what_the_first_one_needs() {
    let machine = Machine::new(GOOD, Some(&row("", "", "", "/dev/drbd0"))).with_drbd();
    machine.root.dir("/dev").set("vdd", "254:48").unwrap();
    machine.root.dir("/sys/dev/block/254:48").set("uevent", "DEVNAME=vdd").unwrap();
    machine.root.dir("/etc/drbd.d").set("r1.res", "resource r1 { device /dev/drbd1; disk /dev/vdd; }").unwrap();
    let said = machine.said(Mode::Local, &[]);
    assert!(said.len() == 2 && said[1].ends_with("devices/global_filter = [ \"r|^/dev/vdd$|\", \"r|^/dev/vdb$|\" ]"), "{said:?}");
}

#[test]
fn what_is_to_be_written_is_quoted_as_lvm_reads_it() {
    let config = GOOD.replace("global_filter=[\"a|.*|\"]", r#"global_filter=["r|x\\.y|","r|\"|"]"#);
    let machine = Machine::new(&config, Some(&row("", "", "", "/dev/drbd0"))).with_drbd();
    let (node, number) = ("/dev/vg+1", "254:16");
    machine.root.dir("/etc/drbd.d").set("r0.res", &format!("resource r0 {{ disk {node}; }}")).unwrap();
    machine.root.dir("/dev").set("vg+1", number).unwrap();
    let expected = r#"global_filter = [ "r|^/dev/vg\\+1$|", "r|x\\.y|", "r|\"|" ]"#;
    let said = machine.said(Mode::Local, &[]);
    assert!(said.len() == 1 && said[0].ends_with(expected), "{said:?}");
}

#[test]
fn where_there_is_a_devices_file_it_decides_and_no_filter() {
    let config = GOOD.replace("use_devicesfile=0", "use_devicesfile=1").replace("a|.*|", "r|.*|");
    let machine = Machine::new(&config, Some(&row("", "", "", "/dev/drbd0"))).with_drbd();
    assert_eq!(machine.said(Mode::Local, &[]), [""; 0], "without the file the filter counts");
    let devices = machine.root.dir("/etc/lvm/devices");
    devices.set("system.devices", "# DEVNAME=/dev/vdb\nIDTYPE=devname IDNAME=/dev/drbd0 DEVNAME=/dev/drbd0 PVID=x\n").unwrap();
    assert_eq!(machine.said(Mode::Local, &[]), [""; 0]);
    devices.set("system.devices", "IDTYPE=devname IDNAME=/dev/vdb DEVNAME=/dev/vdb PVID=x\n").unwrap();
    let expected = "lvm sees /dev/vdb beside the drbd device on it; run: lvmdevices --deldev /dev/vdb";
    assert_eq!(machine.said(Mode::Local, &[]), [expected]);
}

#[test]
fn a_logical_volume_below_drbd_is_seen_only_where_lvm_looks_at_logical_volumes() {
    let said = |config: &str| {
        let machine = Machine::new(config, Some(&row("", "", "", "/dev/drbd0"))).with_drbd();
        machine.root.dir("/sys/dev/block/254:16/dm").set("uuid", "LVM-x").unwrap();
        machine.said(Mode::Local, &[])
    };
    assert_eq!(said(GOOD), [""; 0]);
    assert_eq!(said(&GOOD.replace("scan_lvs=0", "scan_lvs=1")).len(), 1);
}

#[test]
fn a_reason_names_the_setting_and_has_room_for_it() {
    use ocf_san::agents::clvm::checks::{Remedy, Warning};
    let of = |what: &str, remedy| Warning { what: what.to_owned(), remedy, is_fatal: true }.short();
    let write = |line: &str| Remedy::Write { file: "/etc/lvm/lvm.conf".to_owned(), line: line.to_owned() };
    assert_eq!(
        of("lvm does not use lvmlockd", write("global/use_lvmlockd = 1")),
        "lvm does not use lvmlockd (global/use_lvmlockd)"
    );
    let what = "activation/volume_list leaves out vg1";
    assert_eq!(of(what, write("activation/volume_list = [ \"vg1\" ]")), what);
    assert_eq!(
        of("sanlock is not running", Remedy::Run("systemctl enable --now wdmd sanlock".to_owned())),
        "sanlock is not running"
    );
}
