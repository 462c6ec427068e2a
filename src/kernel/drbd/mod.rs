//! DRBD 8.4 and 9: one model, told by whichever source the running kernel has and cannot block on.
//!
//! On 8.4 that is `/proc/drbd`: a request over netlink, whoever's it is, can wait in the kernel for another one without limit, and with it
//! every one that comes after: while a fence-peer handler ran and somebody disconnected that resource, `drbdsetup status` of another one
//! stood still for 55 s in the kernel, and `/proc/drbd`, debugfs and udev's links answered at once. DRBD 9 tells nothing in `/proc/drbd` and
//! does not have that fault: there drbdsetup is asked.

use std::io;

use self::model::Resource;
use self::names::VolumeMinor;
use self::proc_drbd::Minor;
use self::version::Version;
use super::attr::Root;
use super::error::{KernelError, Result};
use super::exec::Tool;
use crate::deadline::Deadline;

pub mod absence;
pub mod config;
pub mod events2;
pub mod generation;
pub mod json;
pub mod kernel_log;
pub mod model;
pub mod module;
pub mod names;
pub mod netlink;
pub mod proc_drbd;
pub mod resource84;
pub mod states;
pub mod tools;
pub mod version;

const PROC_DRBD: &str = "/proc/drbd";

/// The major number of its devices (linux/major.h).
pub const MAJOR: u32 = 147;

/// The module of the running kernel.
#[derive(Debug, Clone)]
pub struct Drbd {
    root: Root,
    version: Version,
}

impl Drbd {
    /// `None` when the module is not loaded. Does not load it.
    ///
    /// # Errors
    /// `/proc/drbd` can not be read, or does not say which version it is.
    pub fn open(root: &Root) -> Result<Option<Self>> {
        let Some(text) = root.dir("/proc").read_opt("drbd")? else { return Ok(None) };
        match Version::parse(&text) {
            Some(version) => Ok(Some(Self { root: root.clone(), version })),
            None => Err(unreadable("it names no version")),
        }
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it is an 8.4.
    #[must_use]
    pub fn is_84(&self) -> bool {
        self.version.is_84()
    }

    /// All resources, by name.
    ///
    /// # Errors
    /// They can not be told.
    pub fn resources(&self, deadline: Deadline) -> Result<Vec<Resource>> {
        if !self.is_84() {
            return self.ask(None, deadline);
        }
        let Some(minors) = self.minors()? else { return Ok(Vec::new()) };
        let all = names::resources(&self.root, &numbers(&minors))?;
        Ok(all.iter().map(|(name, volumes)| resource84::resource(name, volumes, &minors)).collect())
    }

    /// The resource `name`; `None` when the kernel certainly does not have it. On 8.4 `hint`, volumes and minors as configured, saves looking
    /// for them, and tells them where nothing else does. There a volume may be listed of which nothing is said, or no volume at all: neither
    /// is the absence of the resource.
    ///
    /// # Errors
    /// It can not be told.
    pub fn resource(&self, name: &str, hint: &[VolumeMinor], deadline: Deadline) -> Result<Option<Resource>> {
        if !self.is_84() {
            return Ok(self.ask(Some(name), deadline)?.into_iter().find(|resource| resource.name == name));
        }
        let Some(minors) = self.minors()? else { return Ok(None) };
        let volumes = names::volumes_of(&self.root, name, hint, &numbers(&minors))?;
        Ok(volumes.map(|volumes| resource84::resource(name, &volumes, &minors)))
    }

    /// All minors of 8.4; `None` when the module has been unloaded meanwhile.
    fn minors(&self) -> Result<Option<Vec<Minor>>> {
        let Some(mut text) = self.root.dir("/proc").read_opt("drbd")? else { return Ok(None) };
        // Reading an attribute takes the last one away.
        text.push('\n');
        proc_drbd::parse(&text).map(Some).map_err(|why| unreadable(&why))
    }

    /// What drbdsetup says of DRBD 9: one program, or two where it has no JSON.
    fn ask(&self, name: Option<&str>, deadline: Deadline) -> Result<Vec<Resource>> {
        if !self.version.is_9() {
            let why = io::Error::new(io::ErrorKind::Unsupported, format!("DRBD {} is not supported", self.version));
            return Err(KernelError::new("read", PROC_DRBD, why));
        }
        let tool = Tool::find(&self.root, "drbdsetup")?;
        let args: Vec<_> = ["status"].into_iter().chain(name).chain(["--json"]).collect();
        let output = tool.run(&args, deadline)?;
        let is_unknown = output.code == Some(10) && output.stderr.contains("No such resource");
        let has_no_json = output.code == Some(20) && output.stderr.contains("json");
        let why_not = match json::parse(&output.stdout) {
            Ok(all) if output.success() || (is_unknown && all.is_empty()) => return Ok(all),
            Ok(_) => output.complaint(),
            Err(_) if !output.success() && !has_no_json => output.complaint(),
            Err(why) => {
                let args: Vec<_> = ["events2", "--now", "--statistics"].into_iter().chain(name).collect();
                let text = tool.ok(&args, deadline)?;
                match events2::parse(&text) {
                    Ok(all) => return Ok(all),
                    Err(_) if !has_no_json => why,
                    Err(why) => why,
                }
            }
        };
        Err(KernelError::new("run", tool.program(), io::Error::other(why_not)))
    }
}

/// The minors of all devices whose I/O stands still, so that whoever reads one waits without limit.
///
/// # Errors
/// It can not be told.
pub fn frozen_minors(root: &Root, deadline: Deadline) -> Result<Vec<u32>> {
    let Some(drbd) = Drbd::open(root)? else { return Ok(Vec::new()) };
    let frozen = drbd.resources(deadline)?.into_iter().filter(|resource| resource.suspended.is_any());
    Ok(frozen.flat_map(|resource| resource.devices).map(|device| device.minor).collect())
}

fn numbers(minors: &[Minor]) -> Vec<u32> {
    minors.iter().map(|minor| minor.minor).collect()
}

fn unreadable(why: &str) -> KernelError {
    KernelError::new("read", PROC_DRBD, io::Error::new(io::ErrorKind::InvalidData, why))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::model::{ConnectionState, DiskState, Role};
    use super::*;

    fn machine(proc_drbd: &str) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        root.dir("/proc").set("drbd", proc_drbd).unwrap();
        (dir, root)
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    const V84: &str = "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B \n";

    #[test]
    fn without_the_module_there_is_no_drbd_and_an_empty_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Drbd::open(&Root::fake(dir.path())).unwrap().is_none());
        let (_keep, root) = machine("");
        assert_eq!(Drbd::open(&root).unwrap_err().source.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_resource_of_8_4_is_told_without_running_anything() {
        let minor = "10: cs:Unconfigured\n";
        let (_keep, root) = machine(&format!("{V84}\n{minor}"));
        root.dir("/sys/kernel/debug/drbd/resources/r0/volumes/0").create_all(0o755).unwrap();
        root.dir("/sys/kernel/debug/drbd/resources/r1").create_all(0o755).unwrap();
        let minors = root.dir("/sys/kernel/debug/drbd/minors");
        minors.create_all(0o755).unwrap();
        std::os::unix::fs::symlink("../resources/r0/volumes/0", minors.dir("10").path()).unwrap();
        let drbd = Drbd::open(&root).unwrap().unwrap();
        assert!(drbd.is_84());
        let r0 = drbd.resource("r0", &[], soon()).unwrap().unwrap();
        assert_eq!((r0.role, r0.devices[0].disk), (Some(Role::Secondary), Some(DiskState::Diskless)));
        assert_eq!(r0.connections[0].state, Some(ConnectionState::StandAlone));
        assert_eq!(drbd.resource("r1", &[(0, 10)], soon()).unwrap().unwrap().devices, []);
        assert_eq!(drbd.resource("r2", &[(0, 10)], soon()).unwrap(), None);
        assert_eq!(drbd.resources(soon()).unwrap().len(), 2);
    }

    #[test]
    fn the_devices_of_a_resource_whose_i_o_is_suspended_are_frozen() {
        let line = |minor, flag| {
            let states = format!("cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C {flag}-----");
            format!(" {minor}: {states}\n    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n")
        };
        let (_keep, root) = machine(&format!("{V84}{}{}", line(0, 'r'), line(3, 's')));
        for (name, minor) in [("r0", 0), ("r3", 3)] {
            let volume = format!("/sys/kernel/debug/drbd/resources/{name}/volumes/0");
            root.dir(&volume).create_all(0o755).unwrap();
            root.dir("/sys/kernel/debug/drbd/minors").create_all(0o755).unwrap();
            let entry = root.dir("/sys/kernel/debug/drbd/minors").dir(minor.to_string());
            std::os::unix::fs::symlink(format!("../resources/{name}/volumes/0"), entry.path()).unwrap();
        }
        assert_eq!(frozen_minors(&root, soon()).unwrap(), [3]);
        let nothing = tempfile::tempdir().unwrap();
        assert_eq!(frozen_minors(&Root::fake(nothing.path()), soon()).unwrap(), [0; 0], "no module");
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error_and_never_an_absence() {
        let (_keep, root) = machine(&format!("{V84} 0: cs:Connected ro:Primary/Secondary\n"));
        let drbd = Drbd::open(&root).unwrap().unwrap();
        assert!(drbd.resource("r0", &[], soon()).unwrap_err().to_string().starts_with("read /proc/drbd: it ends"));
    }

    const V9: &str =
        "version: 9.3.3 (api:2/proto:118-124)\nGIT-hash: 7d3945b1d build by @vm, 2026-11-20\nTransports (api:22): tcp (9.3.3)\n";

    /// A machine with DRBD 9 whose drbdsetup is this shell script.
    fn with_drbdsetup(script: &str) -> (tempfile::TempDir, Drbd) {
        let (keep, root) = machine(V9);
        crate::script::write(root.path("/usr/sbin/drbdsetup"), &format!("#!/bin/sh\n{script}\n"));
        (keep, Drbd::open(&root).unwrap().unwrap())
    }

    #[test]
    fn drbd_9_is_asked_and_only_its_own_word_makes_a_resource_absent() {
        let has = "[ \"$*\" = 'status r0 --json' ] && echo '[{\"name\": \"r0\", \"role\": \"Primary\"}]' && exit 0";
        let (_keep, drbd) = with_drbdsetup(&format!("{has}\nprintf '[\\n]\\n\\n'; echo \"$2: No such resource\" >&2; exit 10"));
        assert_eq!(drbd.resource("r0", &[], soon()).unwrap().unwrap().role, Some(Role::Primary));
        assert_eq!(drbd.resource("r1", &[], soon()).unwrap(), None);
        for script in ["echo '[]'; echo 'not allowed' >&2; exit 10", "echo 'no kernel' >&2; exit 20", "exit 0", "echo '[{'"] {
            let (_keep, drbd) = with_drbdsetup(script);
            drbd.resource("r0", &[], soon()).unwrap_err();
        }
    }

    #[test]
    fn where_drbdsetup_has_no_json_its_text_is_read() {
        let refuses = "[ $1 = status ] && echo \"status: unrecognized option '--json'\" >&2 && exit 20";
        let says = "[ \"$*\" = 'events2 --now --statistics r0' ] && echo 'exists resource name:r0 role:Secondary'";
        let (_keep, drbd) = with_drbdsetup(&format!("{refuses}\n{says}\necho 'exists -'"));
        assert_eq!(drbd.resource("r0", &[], soon()).unwrap().unwrap().role, Some(Role::Secondary));
        assert_eq!(drbd.resource("r1", &[], soon()).unwrap(), None);
        let (_keep, drbd) = with_drbdsetup(&format!("{refuses}\n{says}"));
        assert!(drbd.resource("r0", &[], soon()).unwrap_err().to_string().ends_with("the end is missing"));
    }

    #[test]
    fn drbd_9_without_drbdsetup_and_8_3_can_not_be_told() {
        let (_keep, root) = machine(V9);
        let e = Drbd::open(&root).unwrap().unwrap().resource("r0", &[], soon()).unwrap_err();
        assert!(e.is_not_found() && e.to_string().starts_with("find drbdsetup"), "{e}");
        let (_keep, root) = machine("version: 8.3.11 (api:88/proto:86-96)\n");
        let e = Drbd::open(&root).unwrap().unwrap().resources(soon()).unwrap_err();
        assert!(e.to_string().contains("8.3.11 is not supported"), "{e}");
    }
}
