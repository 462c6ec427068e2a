//! What a start would need of this machine: the tools, the configuration, the module and the program that it calls. Changes nothing and loads
//! nothing.

use super::Helper;
use super::observe::{meta, promoted_max};
use super::trouble::needs_root;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::module::{self, DISABLED};
use crate::kernel::drbd::tools::Drbdadm;
use crate::kernel::exec::Tool;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// Checks this machine, and how Pacemaker clones the resource.
    ///
    /// # Errors
    /// What is wrong, and with which code a start would fail.
    pub(super) fn check_machine(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        needs_root(cx)?;
        let drbdadm = self.drbdadm(cx)?;
        (cx.progress)(&format!("drbdadm sh-dev {name}"));
        drbdadm.devices(name, cx.deadline.share(0.4)).map_err(|e| self.trouble("drbdadm sh-dev", &e).error)?;
        let dump = drbdadm.dump(name, cx.deadline.share(0.5)).map_err(|e| self.trouble("drbdadm dump", &e).error)?;
        let drbd = Drbd::open(cx.root)?;
        match &drbd {
            Some(drbd) => self.check_version(drbd)?,
            None => module::is_loadable(cx.root, cx.deadline.share(0.5))
                .map_err(|e| OcfError::new(Code::Installed, format_args!("there is no module drbd to load: {e}")))?,
        }
        check_clone(cx, drbd.as_ref(), || Ok(dump.clone()))?;
        self.check_uplink(cx)?;
        check_helper(cx, &dump)
    }

    /// Checks how Pacemaker clones the resource, as a start does.
    ///
    /// # Errors
    /// It is no clone that DRBD can be.
    pub(super) fn check_clone(&self, cx: &Context, drbd: &Drbd, drbdadm: &Drbdadm) -> Result<(), OcfError> {
        let name = self.name()?;
        check_clone(cx, Some(drbd), || {
            drbdadm.dump(name, cx.deadline.share(0.3)).map_err(|e| self.trouble("drbdadm dump", &e).error)
        })
    }
}

/// Whether the clone is what DRBD can be. Notifications are not needed.
fn check_clone(cx: &Context, drbd: Option<&Drbd>, dump: impl FnOnce() -> Result<String, OcfError>) -> Result<(), OcfError> {
    let number = |names: &[&str]| meta(cx, names).and_then(|text| text.trim().parse::<u32>().ok());
    let wrong = |why: &str| Err(OcfError::new(Code::Configured, why));
    let promoted = promoted_max(cx).unwrap_or(1);
    if number(&["clone_node_max"]).is_some_and(|max| max > 1) {
        return wrong("clone-node-max: only one instance can run on a node");
    }
    if number(&["promoted_node_max", "master_node_max"]).is_some_and(|max| max > 1) {
        return wrong("promoted-node-max: only one instance can run on a node");
    }
    if promoted > 2 {
        return wrong("promoted-max: no more than two can be Primary");
    }
    if promoted == 2 && !has_option(&dump()?, "allow-two-primaries", &["yes", ""]) {
        return wrong("promoted-max is 2, and allow-two-primaries is not set in the configuration of the resource");
    }
    let clones = number(&["clone_max"]).unwrap_or(2);
    if clones > 2 && drbd.is_some_and(Drbd::is_84) {
        return wrong("clone-max: DRBD 8.4 has two nodes");
    }
    if clones > 2 && promoted == 2 {
        return wrong("clone-max: with two Primaries there are two nodes");
    }
    Ok(())
}

/// Whether the kernel finds the program that it calls for handlers.
fn check_helper(cx: &Context, dump: &str) -> Result<(), OcfError> {
    let Some(helper) = module::helper(cx.root)? else { return Ok(()) };
    let wrong = |why: String| Err(OcfError::new(Code::Installed, why));
    if helper.has_newline {
        return wrong(format!(
            "usermode_helper of drbd ends in a newline, so no handler runs: write it with printf %s {}",
            helper.path
        ));
    }
    if helper.path == DISABLED {
        let fences = has_option(dump, "fencing", &["resource-only", "resource-and-stonith"]);
        return if fences { wrong("usermode_helper of drbd is disabled, and fencing needs it".to_owned()) } else { Ok(()) };
    }
    match Tool::named(cx.root, &helper.path) {
        Ok(_) => Ok(()),
        Err(_) => wrong(format!("usermode_helper of drbd: {} is no program, so no handler runs", helper.path)),
    }
}

/// Whether a statement of the configuration gives the option one of these values.
fn has_option(dump: &str, option: &str, values: &[&str]) -> bool {
    let statements = dump.split([';', '{', '}', '\n']).map(str::trim);
    let mut value = statements.filter_map(|statement| statement.strip_prefix(option)).filter(|rest| !rest.starts_with('-'));
    value.any(|rest| values.contains(&rest.trim().trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_as_drbdadm_prints_it() {
        let dump = "resource r0 {\n    net {\n        allow-two-primaries yes;\n        protocol   C;\n    }\n    disk {\n        fencing          resource-and-stonith;\n    }\n}\n";
        assert!(has_option(dump, "allow-two-primaries", &["yes", ""]));
        assert!(has_option(dump, "fencing", &["resource-only", "resource-and-stonith"]));
        assert!(!has_option(dump, "fencing", &["dont-care"]));
        assert!(!has_option("net { allow-two-primaries no; }", "allow-two-primaries", &["yes", ""]));
        assert!(has_option("net { allow-two-primaries; }", "allow-two-primaries", &["yes", ""]));
        assert!(!has_option("", "fencing", &["resource-only"]));
    }
}
