//! The lockspaces and locks of lvmlockd, as it dumps them. Only reads.

/// How far a lockspace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is being joined; no lock can be had yet.
    Starting,
    /// Locks can be had.
    Ready,
    /// It could not be joined.
    Failed,
    /// It is being left.
    Stopping,
    /// The leases are lost, or the locks were dropped by hand: another node may have them.
    Lost,
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    Unlocked,
    /// Others may have it too.
    Shared,
    /// Nobody else has it.
    Exclusive,
}

/// The lock of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The UUID of the logical volume, with hyphens.
    pub uuid: String,
    /// How it is held on this node.
    pub mode: Mode,
}

/// A lockspace: one for each shared volume group whose locking was started here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockspace {
    /// The volume group; empty for that of the global lock.
    pub vg: String,
    /// The UUID of the volume group, with hyphens.
    pub vg_uuid: String,
    /// `dlm`, `sanlock` or `idm`.
    pub lock_type: String,
    /// How far it is.
    pub phase: Phase,
    /// How the lock of the volume group is held: exclusive by a command that changes its metadata.
    pub vg_lock: Mode,
    /// The locks of its logical volumes that this node ever asked for.
    pub locks: Vec<Lock>,
}

/// What lvmlockd has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// Its lockspaces, that of the global lock among them.
    pub lockspaces: Vec<Lockspace>,
}

impl Info {
    /// Reads what `lvmlockctl --info --dump` prints: lvmlockd's own words, a line for each thing, as `key=value`.
    ///
    /// # Errors
    /// It does not end as it should, or a line lacks what it must have.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        // The dump ends with a newline and lvmlockctl adds one: anything else was cut off, and a lock may be missing.
        if !text.starts_with("info=") || !text.ends_with("\n\n") {
            return Err("cut off".to_owned());
        }
        let mut lockspaces: Vec<Lockspace> = Vec::new();
        for line in text.lines() {
            match line.split(' ').next() {
                Some("info=ls") => lockspaces.push(lockspace(line).ok_or("a lockspace that is not understood")?),
                Some("info=r") if matches!(value(line, "type"), Some("lv" | "vg")) => {
                    let lock = lock(line).ok_or("a lock that is not understood")?;
                    let lockspace = lockspaces.last_mut().ok_or("a lock without a lockspace")?;
                    match value(line, "type") {
                        Some("vg") => lockspace.vg_lock = lock.mode,
                        _ => lockspace.locks.push(lock),
                    }
                }
                _ => {}
            }
        }
        Ok(Self { lockspaces })
    }

    /// The lockspace of this volume group.
    #[must_use]
    pub fn lockspace(&self, vg: &str) -> Option<&Lockspace> {
        self.lockspaces.iter().find(|lockspace| !vg.is_empty() && lockspace.vg == vg)
    }

    /// Whether this node holds the lock of this logical volume, shared or exclusive. A volume in a thin pool and a snapshot have no lock of
    /// their own: ask for the pool or the origin. The UUID may have its hyphens or not.
    #[must_use]
    pub fn is_held(&self, vg: &str, uuid: &str) -> bool {
        self.mode(vg, uuid) != Mode::Unlocked
    }

    /// How this node holds the lock of this logical volume. In a lockspace whose leases are lost nothing is held.
    #[must_use]
    pub fn mode(&self, vg: &str, uuid: &str) -> Mode {
        let Some(lockspace) = self.lockspace(vg).filter(|lockspace| lockspace.phase != Phase::Lost) else {
            return Mode::Unlocked;
        };
        let wanted = without_hyphens(uuid);
        let lock = lockspace.locks.iter().find(|lock| without_hyphens(&lock.uuid) == wanted);
        lock.map_or(Mode::Unlocked, |lock| lock.mode)
    }
}

impl Lockspace {
    /// Whether any of its locks is held here.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.locks.iter().any(|lock| lock.mode != Mode::Unlocked)
    }
}

fn lockspace(line: &str) -> Option<Lockspace> {
    let is_set = |key| value(line, key).map(|text| text != "0");
    // A later lvmlockd may not have one of these: then it is not so.
    let may_be_set = |key| is_set(key).unwrap_or(false);
    let (failed, done) = (is_set("create_fail")?, is_set("create_done")?);
    let phase = if may_be_set("kill_vg") || may_be_set("drop_vg") {
        Phase::Lost
    } else if failed {
        Phase::Failed
    } else if may_be_set("thread_stop") || may_be_set("thread_done") {
        Phase::Stopping
    } else if done {
        Phase::Ready
    } else {
        Phase::Starting
    };
    let text = |key| value(line, key).map(str::to_owned);
    let (vg, vg_uuid, lock_type) = (text("vg_name")?, text("vg_uuid")?, text("lm_type")?);
    Some(Lockspace { vg, vg_uuid, lock_type, phase, vg_lock: Mode::Unlocked, locks: Vec::new() })
}

fn lock(line: &str) -> Option<Lock> {
    let mode = match value(line, "mode")? {
        "un" | "nl" | "iv" => Mode::Unlocked,
        "sh" => Mode::Shared,
        "ex" => Mode::Exclusive,
        _ => return None,
    };
    Some(Lock { uuid: value(line, "name")?.to_owned(), mode })
}

/// The value of `key` in a line of `key=value` words.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}

fn without_hyphens(uuid: &str) -> String {
    uuid.replace('-', "")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const LV1: &str = "gS913W-k36R-1D1Y-m7dv-BUNM-4NIW-Wx0AFi";
    const LV2: &str = "JLYXr0-YrHe-jJgK-3A42-C8Ug-238k-X8BIq6";

    /// `lvmlockctl --info --dump` of lvm 2.03.16: one volume exclusive, one not locked, while `lvs` and `vgs` wait for their locks.
    pub const DLM: &str = "info=structs unused_action_count=31 unused_client_count=31 unused_resource_count=27 unused_lock_count=31\n\
        info=client pid=773 fd=8 pi=2 id=40 name=.\n\
        info=ls ls_name=lvm_global vg_name= vg_uuid= vg_sysid=. vg_args= lm_type=dlm host_id=0 create_fail=0 create_done=1 thread_work=0 \
        thread_stop=0 thread_done=0 kill_vg=0 drop_vg=0 sanlock_gl_enabled=0\n\
        info=r name=VGLK type=vg mode=un sh_count=0 version=0\ninfo=r name=GLLK type=gl mode=un sh_count=0 version=1\n\
        info=r_action client_id=39 flags=0x0 version=0 op=lock rt=gl mode=sh lm_type=dlm result=0 lm_rv=0\n\
        info=ls ls_name=lvm_vgs vg_name=vgs vg_uuid=OV0Z1g-LTOy-k48m-Od2a-92m6-F6bM-LnSjMy vg_sysid=. vg_args=1.0.0:lock lm_type=dlm \
        host_id=0 create_fail=0 create_done=1 thread_work=0 thread_stop=0 thread_done=0 kill_vg=0 drop_vg=0 sanlock_gl_enabled=0\n\
        info=ls_action client_id=38 flags=0x0 version=0 op=lock rt=vg mode=sh lm_type=dlm result=0 lm_rv=0\n\
        info=r name=VGLK type=vg mode=un sh_count=0 version=4\n\
        info=r name=gS913W-k36R-1D1Y-m7dv-BUNM-4NIW-Wx0AFi type=lv mode=ex sh_count=0 version=0\n\
        info=lk mode=ex version=0 flags=0x1 client_id=0\n\
        info=r name=JLYXr0-YrHe-jJgK-3A42-C8Ug-238k-X8BIq6 type=lv mode=un sh_count=0 version=0\n\n";

    #[test]
    fn a_lock_is_found_by_its_uuid_with_hyphens_or_without() {
        let info = Info::parse(DLM).unwrap();
        assert_eq!((info.mode("vgs", LV1), info.mode("vgs", LV2)), (Mode::Exclusive, Mode::Unlocked));
        assert!(info.is_held("vgs", &LV1.replace('-', "")) && !info.is_held("vgs", LV2));
        assert!(!info.is_held("other", LV1) && !info.is_held("vgs", "unknown"));
        let lockspace = info.lockspace("vgs").unwrap();
        assert_eq!((lockspace.phase, lockspace.lock_type.as_str(), lockspace.is_used()), (Phase::Ready, "dlm", true));
        assert_eq!(lockspace.vg_uuid, "OV0Z1g-LTOy-k48m-Od2a-92m6-F6bM-LnSjMy");
        assert_eq!(lockspace.vg_lock, Mode::Unlocked);
        let (start, end) = DLM.split_at(DLM.find("info=ls ls_name=lvm_vgs").unwrap());
        let changing = format!("{start}{}", end.replace("type=vg mode=un", "type=vg mode=ex"));
        assert_eq!(Info::parse(&changing).unwrap().lockspace("vgs").unwrap().vg_lock, Mode::Exclusive);
        let shared = Info::parse(&DLM.replace("mode=ex", "mode=sh")).unwrap();
        assert_eq!(shared.mode("vgs", LV1), Mode::Shared);
    }

    #[test]
    fn the_lockspace_of_the_global_lock_is_that_of_no_group() {
        let info = Info::parse(DLM).unwrap();
        assert_eq!(info.lockspaces.len(), 2);
        assert_eq!(info.lockspace(""), None);
        assert!(!info.lockspaces[0].is_used());
    }

    #[test]
    fn a_lockspace_says_how_far_it_is() {
        let (start, end) = DLM.split_at(DLM.find("info=ls ls_name=lvm_vgs").unwrap());
        for (from, to, phase) in [
            ("create_done=1", "create_done=0", Phase::Starting),
            ("create_fail=0", "create_fail=1", Phase::Failed),
            ("thread_stop=0", "thread_stop=1", Phase::Stopping),
            ("kill_vg=0", "kill_vg=1", Phase::Lost),
            ("drop_vg=0", "drop_vg=1", Phase::Lost),
        ] {
            let info = Info::parse(&format!("{start}{}", end.replace(from, to))).unwrap();
            assert_eq!(info.lockspace("vgs").unwrap().phase, phase);
            assert_eq!(info.is_held("vgs", LV1), phase != Phase::Lost);
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_answer_because_a_lock_may_be_missing() {
        for end in (0..DLM.len()).filter(|end| DLM.is_char_boundary(*end)) {
            Info::parse(&DLM[..end]).unwrap_err();
        }
        Info::parse(&DLM.replace("mode=ex", "mode=pw")).unwrap_err();
        Info::parse("socket error -98\n\n").unwrap_err();
    }
}
