//! Whether this node was cut off from all that there is: then its peer only seems to be gone.

use super::Helper;
use super::peering;
use crate::kernel::attr::Root;
use crate::kernel::drbd::model::Resource;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// Why this side is not to be promoted: it sees no peer and, on none of the links of `uplink`, a carrier. It may well be the peer that
    /// serves, and a promotion here would begin a second history. `None` also when `uplink` names no link.
    pub(super) fn cut_off(&self, cx: &Context, resource: &Resource) -> Option<String> {
        if peering::is_connected(resource) || self.uplink.is_empty() {
            return None;
        }
        has_no_carrier(cx.root, &self.uplink).then(|| {
            format!(
                "{}: neither a peer nor, on {}, a carrier: this node may be the one that is cut off; plug in the cable",
                resource.name,
                self.uplink.join(", ")
            )
        })
    }

    /// Whether the links of `uplink` are there.
    ///
    /// # Errors
    /// One is not: a name that is wrong would keep this side from being promoted when it is needed.
    pub(super) fn check_uplink(&self, cx: &Context) -> Result<(), OcfError> {
        let class = cx.root.dir("/sys/class/net");
        for link in &self.uplink {
            if !class.dir(link).exists()? {
                return Err(OcfError::new(Code::Installed, format_args!("uplink: there is no network interface {link}")));
            }
        }
        Ok(())
    }
}

/// Whether none of these links has one. One that is not there, or that is down (reading `carrier` is EINVAL then, Linux
/// net/core/net-sysfs.c), has none.
fn has_no_carrier(root: &Root, links: &[String]) -> bool {
    let class = root.dir("/sys/class/net");
    !links.iter().any(|link| class.dir(link).read("carrier").is_ok_and(|carrier| carrier == "1"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_link_with_a_carrier_is_enough() {
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
        assert!(is_cut(&["dmz", "gone"]), "a link that is not there has no carrier");
        set("dmz", "1\n");
        assert!(!is_cut(&["dmz", "gone"]));
        fs::remove_file(keep.path().join("sys/class/net/lan/carrier")).unwrap();
        assert!(is_cut(&["lan"]), "what can not be read is none");
    }
}
