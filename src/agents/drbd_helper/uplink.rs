//! Whether this node was cut off from all that there is: then its peer only seems to be gone.

use std::time::Duration;

use super::observe::promoted_max;
use super::peering;
use super::{Helper, health};
use crate::kernel::attr::Root;
use crate::kernel::drbd::model::Resource;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long a promotion waits for a carrier, which a bond or a switch may take to give.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Helper {
    /// Why this side has no score: it sees no peer and, on none of the links of `uplink`, a carrier. It may well be the peer that serves, and
    /// a promotion here would begin a second history.
    pub(super) fn cut_off(&self, cx: &Context, resource: &Resource) -> Option<String> {
        let is_cut_off = !peering::is_connected(resource) && has_no_carrier(cx.root, &self.uplink);
        is_cut_off.then(|| {
            format!(
                "{}: neither a peer nor, on {}, a carrier: this node may be the one that is cut off; plug in the cable",
                resource.name,
                self.uplink.join(", ")
            )
        })
    }

    /// Why this side is not to be promoted now. Without a carrier a peer that is Primary is no proof that it can be heard: DRBD may not have
    /// noticed yet, and the attempt is what makes it look (`request_ping`, Linux `drivers/block/drbd/drbd_nl.c`).
    pub(super) fn forbids_promotion(&self, cx: &Context, resource: &Resource) -> Option<String> {
        self.cut_off(cx, resource).or_else(|| {
            let may_be_two = promoted_max(cx).is_some_and(|max| max > 1);
            let has_primary = resource.primary_peers().next().is_some();
            let is_doubtful = has_primary && !may_be_two && has_no_carrier(cx.root, &self.uplink);
            is_doubtful
                .then(|| format!("{}: the peer is Primary, and there is no carrier on {}", resource.name, self.uplink.join(", ")))
        })
    }

    /// A link of `uplink` that is not there, which is worth a look: it says nothing, so that a wrong name keeps nobody from taking over.
    pub(super) fn missing_uplink(&self, cx: &Context) -> Option<String> {
        let class = cx.root.dir("/sys/class/net");
        let missing = self.uplink.iter().find(|link| matches!(class.dir(link).exists(), Ok(false)))?;
        Some(format!("uplink: there is no network interface {missing}"))
    }

    /// Whether the links of `uplink` are there.
    ///
    /// # Errors
    /// One is not.
    pub(super) fn check_uplink(&self, cx: &Context) -> Result<(), OcfError> {
        self.missing_uplink(cx).map_or(Ok(()), |why| Err(OcfError::new(Code::Installed, why)))
    }

    /// What a monitor finds, with what there is to say of the links where nothing worse is.
    pub(super) fn with_uplink(&self, cx: &Context, finding: health::Finding, cut_off: Option<String>) -> health::Finding {
        match finding {
            health::Finding::Fine => {
                cut_off.or_else(|| self.missing_uplink(cx)).map_or(health::Finding::Fine, health::Finding::Look)
            }
            worse => worse,
        }
    }
}

/// Whether some of these links are there, and none of them has a carrier. One that is down has none (to read `carrier` is EINVAL then, Linux
/// net/core/net-sysfs.c).
fn has_no_carrier(root: &Root, links: &[String]) -> bool {
    let class = root.dir("/sys/class/net");
    let mut there = links.iter().map(|link| class.dir(link)).filter(|link| link.exists().unwrap_or(false)).peekable();
    there.peek().is_some() && !there.any(|link| link.read("carrier").is_ok_and(|carrier| carrier == "1"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_link_with_a_carrier_is_enough_and_one_that_is_not_there_says_nothing() {
        let keep = tempfile::tempdir().unwrap();
        let set = |link: &str, carrier: &str| {
            let dir = keep.path().join("sys/class/net").join(link);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("carrier"), carrier).unwrap();
        };
        let root = Root::fake(keep.path());
        let is_cut = |links: &[&str]| has_no_carrier(&root, &links.iter().map(|link| (*link).to_owned()).collect::<Vec<_>>());
        set("lan", "1\n");
        set("dmz", "0\n");
        assert!(!is_cut(&["lan"]));
        assert!(!is_cut(&["dmz", "lan"]));
        assert!(is_cut(&["dmz"]));
        assert!(is_cut(&["gone", "dmz"]));
        assert!(!is_cut(&["gone"]));
        assert!(!is_cut(&[]));
        set("dmz", "1\n");
        assert!(!is_cut(&["dmz", "gone"]));
        fs::remove_file(keep.path().join("sys/class/net/lan/carrier")).unwrap();
        assert!(is_cut(&["lan"]), "what can not be read is none");
    }
}
