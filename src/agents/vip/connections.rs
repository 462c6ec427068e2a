//! The connections that go to the address: a list of them, kept where the other node finds it, so that it can wake up the peers.
//!
//! The directory may be on a file system that hangs, and the program that carries the list over may take its time, so all of that is
//! done in background processes.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::announce::{Whereabouts, whereabouts};
use super::background::{Background, Report, Started};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::KernelError;
use crate::kernel::exec::Tool;
use crate::kernel::net::address::Address;
use crate::kernel::net::connection::{self, Connection};
use crate::kernel::net::namespace::Home;
use crate::kernel::net::netlink::Netlink;
use crate::kernel::net::tickle::Tickler;
use crate::kernel::process::keep;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;
use crate::ocf::state_file::StateFile;

/// How long the program that carries the list over may take.
pub const SYNC: Duration = Duration::from_secs(20);
/// When the peers are woken up, from the start on: Linux answers such a packet at most once in 0.5 s (`tcp_invalid_ratelimit`).
const MOMENTS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(700), Duration::from_secs(2)];

/// Where and of which ports connections are remembered.
#[derive(Debug, Clone)]
pub struct Remembering {
    /// Local ports.
    pub ports: Vec<u16>,
    /// Where the list is kept; nothing is remembered without.
    pub dir: Option<PathBuf>,
    /// What carries it over, with its first arguments.
    pub sync: Option<Vec<String>>,
}

/// The process that keeps the list.
#[must_use]
pub fn saver(cx: &Context) -> Background {
    Background::new(cx, "saver")
}

/// The process that wakes up the peers.
#[must_use]
pub fn waker(cx: &Context) -> Background {
    Background::new(cx, "waker")
}

/// What to say of one that does not come to an end.
#[must_use]
pub fn hang(cx: &Context) -> Option<String> {
    let age = saver(cx).age().filter(|age| *age > SYNC + SYNC / 2)?;
    Some(format!("tickle_dir: writing the list of connections has hung for {} s", age.as_secs()))
}

/// What the list was when it was last saved.
fn saved(cx: &Context) -> StateFile {
    StateFile::new(cx, "VIP", "connections")
}

impl Remembering {
    /// Has the list saved if it has changed, or `is_anew` in any case, unless somebody is at it. `home` is the network namespace of the cluster, if this is another one.
    ///
    /// # Errors
    /// The connections can not be listed, or no further process.
    pub fn remember(&self, cx: &Context, ip: IpAddr, home: Option<&Home>, is_anew: bool) -> Result<(), OcfError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let (list, saved) = (self.list(ip)?, saved(cx));
        let is_known = !is_anew && saved.read()?.as_deref() == Some(list.as_str());
        if is_known || saver(cx).alive().is_some() {
            return Ok(());
        }
        // Until this has worked, nobody knows what the file holds.
        saved.remove()?;
        self.begin_to_save(cx, dir, ip, list, home, Some(saved)).map(drop)
    }

    /// Has the list saved before the address goes; `None` when nothing is remembered.
    ///
    /// # Errors
    /// As [`Remembering::remember`].
    pub fn remember_at_last(&self, cx: &Context, ip: IpAddr, home: Option<&Home>) -> Result<Option<Started>, OcfError> {
        let Some(dir) = &self.dir else { return Ok(None) };
        if saver(cx).alive().is_some() {
            tracing::warn!("tickle_dir: writing the list of connections hangs");
            return Ok(None);
        }
        self.begin_to_save(cx, dir, ip, self.list(ip)?, home, None).map(Some)
    }

    fn list(&self, ip: IpAddr) -> Result<String, OcfError> {
        let connections = connection::established(ip, &self.ports)?;
        Ok(connections.iter().map(Connection::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// `saved` is where it is noted that this list is the one that was saved last; without, it is the last one of all.
    fn begin_to_save(
        &self,
        cx: &Context,
        dir: &Path,
        ip: IpAddr,
        list: String,
        home: Option<&Home>,
        saved: Option<StateFile>,
    ) -> Result<Started, OcfError> {
        let (root, dir, name, sync) = (cx.root.clone(), dir.to_owned(), ip.to_string(), self.sync.clone());
        let home = home.map(Home::try_clone).transpose().map_err(|e| OcfError::new(Code::Generic, e))?;
        let kept = home.as_ref().map(keep).unwrap_or_default();
        let body = move |report: &mut Report| {
            // A stop may have been here meanwhile, and the list is the other node's then.
            let has_gone =
                || Netlink::route().and_then(|mut netlink| Address::find(&mut netlink, ip)).is_ok_and(|found| found.is_empty());
            if saved.is_some() && has_gone() {
                return;
            }
            let done = save(&root, &dir, &name, &list).and_then(|path| {
                report.done();
                // The other node is reached from where the cluster is.
                home.as_ref().map_or(Ok(()), Home::go_back)?;
                sync.map_or(Ok(()), |words| carry_over(&root, &words, &path))
            });
            let noted = done.and_then(|()| saved.map_or(Ok(()), |saved| saved.write(list.as_bytes())));
            report.conclude(noted.map_err(|e| format!("connections are not remembered: {e}")));
        };
        saver(cx).start(kept, body)
    }

    /// Begins to wake up the peers of connections that the other node had.
    ///
    /// # Errors
    /// No further process.
    pub fn wake(&self, cx: &Context, ip: IpAddr, index: u32) -> Result<(), OcfError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        if !waker(cx).end() {
            return Ok(());
        }
        let (root, dir, ports) = (cx.root.clone(), dir.clone(), self.ports.clone());
        let body = move |_: &mut Report| {
            // What has happened once is no state of the resource.
            if let Err(e) = wake(&root, &dir, ip, index, &ports) {
                tracing::error!("peers of {ip} are not woken up: {e}");
            }
        };
        waker(cx).start(Vec::new(), body).map(drop)
    }

    /// Checks what it needs on this machine.
    ///
    /// # Errors
    /// The directory or the program is not there.
    pub fn validate(&self, cx: &Context) -> Result<(), OcfError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let missing = |parameter: &str, e: KernelError| OcfError::new(Code::Installed, format_args!("{parameter}: {e}"));
        if !cx.root.dir(dir).is_directory().map_err(|e| missing("tickle_dir", e))? {
            return Err(OcfError::new(Code::Installed, format_args!("tickle_dir: {} is no directory here", dir.display())));
        }
        match self.sync.iter().flatten().next() {
            Some(program) => Tool::named(cx.root, program).map(drop).map_err(|e| missing("sync_script", e)),
            None => Ok(()),
        }
    }

    /// Has the next monitor save the list anew, whatever has become of it before. Whoever is saving it does not go on.
    pub fn start_over(cx: &Context) {
        saver(cx).end();
        if let Err(e) = saved(cx).remove() {
            tracing::warn!("{e}");
        }
        saver(cx).forgive();
    }
}

fn save(root: &Root, dir: &Path, name: &str, list: &str) -> Result<PathBuf, KernelError> {
    // Whoever reads it takes an empty line for a connection that it does not understand.
    let end = if list.is_empty() { "" } else { "\n" };
    root.dir(dir).replace_file_for_good(name, format!("{list}{end}").as_bytes())?;
    Ok(root.path(dir).join(name))
}

fn carry_over(root: &Root, words: &[String], path: &Path) -> Result<(), KernelError> {
    let Some((program, first)) = words.split_first() else { return Ok(()) };
    let tool = Tool::named(root, program)?.in_group_of_caller();
    let path = path.to_string_lossy();
    let arguments: Vec<&str> = first.iter().map(String::as_str).chain([path.as_ref()]).collect();
    tool.ok(&arguments, Deadline::after(SYNC)).map(drop)
}

fn wake(root: &Root, dir: &Path, ip: IpAddr, index: u32, ports: &[u16]) -> Result<(), KernelError> {
    let begun = Instant::now();
    let Some(list) = root.dir(dir).read_opt(ip.to_string())? else { return Ok(()) };
    let peers: Vec<Connection> =
        list.lines().filter_map(|line| line.parse().ok()).filter(|c: &Connection| c.local.ip() == ip).collect();
    if peers.is_empty() {
        return Ok(());
    }
    let tickler = Tickler::open(ip)?;
    let mut netlink = Netlink::route()?;
    for moment in MOMENTS {
        sleep(moment.saturating_sub(begun.elapsed()));
        match whereabouts(&mut netlink, ip, index)? {
            Whereabouts::Gone => return Ok(()),
            Whereabouts::NotYetOurs => continue,
            Whereabouts::Here => {}
        }
        // Who has come back already is left alone.
        let here = connection::established(ip, ports)?;
        let away: Vec<_> = peers.iter().filter(|peer| !here.contains(peer)).collect();
        let failures: Vec<_> = away.iter().filter_map(|peer| tickler.tickle(peer).err()).collect();
        if let Some(e) = failures.into_iter().next().filter(|_| moment.is_zero()) {
            tracing::warn!("{e}");
        }
    }
    Ok(())
}
