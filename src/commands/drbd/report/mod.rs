//! `ocf-san drbd report`: what each side of a resource has, how much each has written without the other, and how to bring them together.

mod compare;
mod facts;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, ArgMatches, Command};

use self::compare::{Verdict, compare};
use self::facts::Facts;
use super::volumes::{Known, know, need_root, resource_arg, resource_of};
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;

const LIMIT: Duration = Duration::from_secs(30);

/// Its command line.
#[must_use]
pub fn command() -> Command {
    Command::new("report")
        .about("Says what this side of a resource holds, and with the other's report which one has less to lose")
        .arg(resource_arg())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("For --peer on the other node"))
        .arg(Arg::new("peer").long("peer").value_name("FILE").help("What report --json printed on the other node"))
}

/// Prints it.
///
/// # Errors
/// Nobody knows the resource, or the file can not be read.
pub fn run(root: &Root, matches: &ArgMatches) -> Result<u8> {
    need_root(root)?;
    let resource = resource_of(matches)?;
    let peer = matches.get_one::<String>("peer").map(|path| read(root, path)).transpose()?;
    let deadline = Deadline::after(LIMIT);
    let known = know(root, resource, deadline)?;
    let facts = Facts::gather(root, resource, &known, deadline);
    let text = if matches.get_flag("json") {
        format!("{}\n", serde_json::to_string_pretty(&facts)?)
    } else {
        text(&facts, peer.as_ref(), &nodes(&known))
    };
    put(&text)?;
    Ok(0)
}

fn read(root: &Root, path: &str) -> Result<Facts> {
    let path = Path::new(path);
    let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { anyhow::bail!("{}: no file", path.display()) };
    let text = root.dir(dir).read(Path::new(name))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not what ocf-san drbd report --json prints", path.display()))
}

fn nodes(known: &Known) -> Vec<String> {
    known.config.iter().flat_map(|config| &config.hosts).filter_map(|host| host.names.first().cloned()).collect()
}

fn text(here: &Facts, there: Option<&Facts>, nodes: &[String]) -> String {
    let mut out = String::new();
    for side in [Some(here), there].into_iter().flatten() {
        // Writing to a String does not fail.
        let _ = one(&mut out, side);
    }
    let resource = &here.resource;
    let verdict = there.map(|there| compare(here, there));
    match &verdict {
        None if here.split_brain.is_empty() => {}
        None => {
            let _ = writeln!(
                out,
                "\nHere {} have been written since the two parted. For the other side, there and then here:\n  \
                 ocf-san drbd report {resource} --json >FILE\n  ocf-san drbd report {resource} --peer FILE",
                written(here.out_of_sync())
            );
        }
        Some(Verdict::Same) => out.push_str("\nBoth sides have the same data: there is nothing to choose.\n"),
        Some(Verdict::Nothing { victim }) => {
            let _ = writeln!(out, "\n{victim} has written nothing that the other lacks: nothing is lost with it.");
        }
        Some(Verdict::Less { victim, loses, other, but }) => {
            let _ = writeln!(out, "\n{victim} has less to lose: {loses} KiB against {other} KiB.");
            for reason in but {
                let _ = writeln!(out, "But {reason}: look at the data before you discard it.");
            }
        }
        Some(Verdict::Untold(why)) => {
            let _ = writeln!(out, "\nWhich side has less to lose can not be told: {why}.");
        }
    }
    let is_split = !here.split_brain.is_empty() || there.is_some_and(|there| !there.split_brain.is_empty());
    if is_split && verdict != Some(Verdict::Same) {
        let victim = match &verdict {
            Some(Verdict::Nothing { victim } | Verdict::Less { victim, .. }) => victim.clone(),
            _ => "VICTIM".to_owned(),
        };
        let _ = guide(&mut out, resource, &victim, nodes);
    }
    out
}

fn one(out: &mut String, facts: &Facts) -> std::fmt::Result {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    writeln!(out, "{} on {} at {}", facts.resource, facts.node, facts.at)?;
    match (&facts.role, &facts.connection) {
        (None, None) => writeln!(out, "  down")?,
        _ => writeln!(out, "  role {}, connection {}, peer {}", or(&facts.role), or(&facts.connection), or(&facts.peer_role))?,
    }
    if facts.suspended.as_deref().is_some_and(|suspended| suspended != "no") {
        writeln!(out, "  I/O stands still: {}", or(&facts.suspended))?;
    }
    for volume in &facts.volumes {
        let disks = format!("disk {}, peer's {}", or(&volume.disk), or(&volume.peer_disk));
        let doing = volume.replication.as_ref().map(|doing| format!(", {doing}")).unwrap_or_default();
        writeln!(out, "  volume {}: {disks}{doing}, out of sync {}", volume.number, written(volume.out_of_sync))?;
        if let Some(generation) = &volume.generation {
            writeln!(out, "    generation {generation}")?;
        }
    }
    if let Some(last) = &facts.last_primary {
        let who = match last.who {
            crate::agents::drbd_helper::last_primary::Who::Here => "this node",
            crate::agents::drbd_helper::last_primary::Who::Peer => "the peer",
            crate::agents::drbd_helper::last_primary::Who::Nobody => "nobody since both were equal, or since somebody said so",
        };
        writeln!(out, "  last Primary: {who} ({} at {})", last.event, last.at)?;
    }
    for entry in &facts.guard {
        writeln!(out, "  guarded: {} since {}", entry.reason, entry.since)?;
    }
    if !facts.split_brain.is_empty() {
        writeln!(out, "  SPLIT BRAIN: {}", facts.split_brain.join("; "))?;
    }
    if let Some(id) = &facts.fenced {
        writeln!(out, "  fencing constraint: {id}")?;
    }
    for missing in &facts.missing {
        writeln!(out, "  not told: {missing}")?;
    }
    Ok(())
}

fn written(kib: Option<u64>) -> String {
    kib.map_or_else(|| "an unknown amount".to_owned(), |kib| format!("{kib} KiB"))
}

fn guide(out: &mut String, resource: &str, victim: &str, nodes: &[String]) -> std::fmt::Result {
    let others: Vec<&str> = nodes.iter().map(String::as_str).filter(|node| *node != victim).collect();
    let survivor = match others.as_slice() {
        [one] if victim != "VICTIM" => (*one).to_owned(),
        _ => "the other node".to_owned(),
    };
    writeln!(out, "\nTo bring them together by discarding what {victim} has written, first on {victim} and then on {survivor}:")?;
    writeln!(out, "  ocf-san drbd recover {resource} --victim {victim}")?;
    writeln!(out, "By hand that is on {victim}, after a snapshot or a backup of its disks:")?;
    writeln!(out, "  drbdadm secondary {resource}; drbdadm disconnect {resource}; drbdadm connect --discard-my-data {resource}")?;
    writeln!(out, "and on {survivor}, if it is StandAlone:\n  drbdadm connect {resource}")
}

#[cfg(test)]
mod tests {
    use super::facts::Volume;
    use super::*;

    fn side(node: &str, generation: &str, out_of_sync: u64) -> Facts {
        let volume = Volume {
            number: 0,
            minor: 10,
            disk: Some("UpToDate".into()),
            peer_disk: Some("DUnknown".into()),
            out_of_sync: Some(out_of_sync),
            generation: Some(generation.into()),
            ..Volume::default()
        };
        Facts {
            node: node.into(),
            resource: "r0".into(),
            at: "2026-01-31T12:00:00Z".into(),
            role: Some("Secondary".into()),
            connection: Some("StandAlone".into()),
            volumes: vec![volume],
            split_brain: vec!["the kernel log".into()],
            ..Facts::default()
        }
    }

    #[test]
    fn both_sides_are_shown_with_the_one_to_discard_and_what_to_type() {
        let nodes = ["node1".to_owned(), "node2".to_owned()];
        let said =
            text(&side("node1", "6DD8000000000001:D9:D2:0", 256), Some(&side("node2", "D094000000000000:D9:D2:0", 128)), &nodes);
        assert!(
            said.starts_with("r0 on node1 at 2026-01-31T12:00:00Z\n  role Secondary, connection StandAlone, peer unknown\n"),
            "{said}"
        );
        assert!(said.contains("\nnode2 has less to lose: 128 KiB against 256 KiB.\n"), "{said}");
        assert!(said.contains("first on node2 and then on node1:\n  ocf-san drbd recover r0 --victim node2\n"), "{said}");
        assert!(said.ends_with("and on node1, if it is StandAlone:\n  drbdadm connect r0\n"), "{said}");
    }

    #[test]
    fn one_side_alone_says_what_it_wrote_and_chooses_nobody() {
        let said = text(&side("node1", "6DD8000000000001:D9:D2:0", 256), None, &[]);
        assert!(said.contains("Here 256 KiB have been written since the two parted."), "{said}");
        assert!(said.contains("recover r0 --victim VICTIM\n"), "{said}");
        let quiet = Facts { split_brain: vec![], ..side("node1", "1:0:0:0", 0) };
        assert!(!text(&quiet, None, &[]).contains("recover"));
    }

    #[test]
    fn a_report_is_read_as_it_was_written_and_with_parts_missing() {
        let facts = side("node1", "6DD8000000000001:D9:D2:0", 256);
        assert_eq!(serde_json::from_str::<Facts>(&serde_json::to_string(&facts).unwrap()).unwrap(), facts);
        let poor: Facts = serde_json::from_str("{\"node\":\"node2\",\"resource\":\"r0\",\"at\":\"\"}").unwrap();
        assert!(text(&facts, Some(&poor), &[]).contains("can not be told: how much was written on node2 is not known"));
        assert!(text(&poor, None, &[]).contains("  down\n"));
    }

    #[test]
    fn a_file_that_is_no_report_is_named() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert!(read(&root, "/none").unwrap_err().to_string().contains("none"));
        root.dir("/tmp").set("x", "{}").unwrap();
        assert_eq!(read(&root, "/tmp/x").unwrap_err().to_string(), "/tmp/x: not what ocf-san drbd report --json prints");
    }
}
