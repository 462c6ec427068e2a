//! `VIP`: a virtual IP address that moves with the resource, over netlink and with packets of our own. Takes the parameters of IPaddr2.

mod announce;
mod background;
mod checks;
mod connections;
mod health;
mod look;
mod params;
mod record;
mod start;
mod stop;
mod values;

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;
use std::time::Duration;

use self::announce::Announcing;
use self::connections::Remembering;
use self::look::{Expected, Seen, look};
use self::record::Record;
use self::start::Start;
use self::values::Broadcast;
use crate::kernel::net::announce::Form;
use crate::kernel::net::link::Link;
use crate::kernel::net::namespace::Home;
use crate::kernel::net::netlink::Netlink;
use crate::kernel::net::route;
use crate::kernel::task;
use crate::ocf::doubt::OnDoubt;
use crate::ocf::env::Params;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::{Agent, Context, Level, State};
use crate::ocf::spec::{ActionSpec, AgentSpec};

/// The declaration.
pub static VIP: AgentSpec = AgentSpec {
    name: "VIP",
    short: "Virtual IPv4 and IPv6 address",
    long: "Adds a virtual IP address to a link, tells the network where it is, and takes it away again, over netlink, without ip, arping or a \
           shell. It takes the parameters of ocf:heartbeat:IPaddr2 with their defaults; the cluster IP and LVS are not supported, and it \
           can not be cloned.\n\n\
           Two things are deliberately not as in IPaddr2, because without fencing they decide whether two machines have one address: an \
           address that is there with another prefix, on another link, with another label or on a dead link is a failure (1) to a probe \
           and not \"not running\", and a stop removes the address wherever it is and with whatever prefix.\n\n\
           Put the resource last in its group, after the target: a stop then takes the address away first, initiators wait instead of seeing \
           errors, and with tickle_dir the other node makes them reconnect at once. A monitor with OCF_CHECK_LEVEL=10 also asks the \
           network whether another machine has the address.",
    params: params::ALL,
    actions: &[
        ActionSpec::new("start", 20),
        ActionSpec::new("stop", 20),
        ActionSpec::new("monitor", 20).every(10).depth(0),
        ActionSpec::new("monitor", 20).every(60).depth(10),
        ActionSpec::new("reload-agent", 20),
    ],
    build,
};

/// One resource.
#[expect(clippy::struct_excessive_bools, reason = "five parameters that are yes or no")]
struct Vip {
    ip: Result<IpAddr, String>,
    nic: Option<String>,
    prefix: Option<u8>,
    /// Whether the prefix was given as a netmask, which only IPv4 has.
    is_mask: bool,
    broadcast: Option<Broadcast>,
    origin: Option<u8>,
    metric: Option<u32>,
    label: Option<String>,
    namespace: Option<String>,
    check_link: bool,
    carrier_wait: Duration,
    run_arping: bool,
    on_duplicate: OnDoubt,
    no_dad: bool,
    no_prefix_route: bool,
    preferred: u32,
    source_label: Option<u32>,
    announcing: Announcing,
    remembering: Remembering,
    /// Parameters that do nothing here and were set all the same.
    obsolete: Vec<&'static str>,
    /// The network namespace of the cluster, once another one has been entered.
    home: OnceCell<Home>,
    /// Whether a stop has taken away all that there was.
    is_swept: Cell<bool>,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    let nic = params.opt(&params::NIC)?;
    let (nic, old_label) = nic.map_or((None, None), |nic| (Some(nic.name), nic.label));
    let source_label = params.get(&params::SOURCE_LABEL_VALUE)?;
    let prefix = params.opt(&params::CIDR_NETMASK)?.or(params.opt(&params::NETMASK)?);
    let options = params.opt(&params::SEND_ARP_OPTS)?.unwrap_or_default();
    let has = |option: &str| options.split_whitespace().any(|word| word == option);
    let mut obsolete = Vec::new();
    for param in &params::OBSOLETE {
        if params.opt(param)?.is_some() {
            obsolete.push(crate::ocf::spec::Declared::decl(param).name);
        }
    }
    Ok(Box::new(Vip {
        ip: params.opt(&params::IP)?.ok_or_else(|| "not set".to_owned()).and_then(|text| values::address(&text)),
        nic,
        prefix: prefix.map(|prefix| prefix.bits),
        is_mask: prefix.is_some_and(|prefix| prefix.is_mask),
        broadcast: params.opt(&params::BROADCAST)?,
        origin: params.opt(&params::PROTO)?.map(|origin| origin.0),
        metric: params.opt(&params::METRIC)?,
        label: old_label.or(params.opt(&params::IFLABEL)?.map(|label| label.0)),
        namespace: params.opt(&params::NETWORK_NAMESPACE)?.map(|namespace| namespace.0),
        check_link: params.get(&params::CHECK_LINK_STATUS)?,
        carrier_wait: Duration::from_secs(params.get(&params::CARRIER_WAIT)?.into()),
        run_arping: params.get(&params::RUN_ARPING)?,
        on_duplicate: params.get(&params::MONITOR_ON_DUPLICATE)?,
        no_dad: params.get(&params::NODAD)?,
        no_prefix_route: params.get(&params::NOPREFIXROUTE)?,
        preferred: params.get(&params::PREFERRED_LFT)?.0,
        source_label: params.get(&params::SOURCE_LABEL)?.then_some(source_label),
        announcing: Announcing {
            interval: Duration::from_millis(params.get(&params::ARP_INTERVAL)?.0.into()),
            count: params.get(&params::ARP_COUNT)?.0,
            refresh: params.get(&params::ARP_COUNT_REFRESH)?.0,
            is_waited_for: params.opt(&params::ARP_BG)? == Some(false),
            form: match (has("-U"), has("-A")) {
                (true, false) => Form::Request,
                (false, true) => Form::Reply,
                _ => Form::Both,
            },
        },
        remembering: Remembering {
            ports: params.get(&params::TICKLE_PORTS)?.0,
            dir: params.opt(&params::TICKLE_DIR)?,
            sync: params.opt(&params::SYNC_SCRIPT)?.map(|command| command.0),
        },
        obsolete,
        home: OnceCell::new(),
        is_swept: Cell::new(false),
    }))
}

impl Vip {
    /// What is there, in this resource's network namespace.
    fn look(&self, cx: &Context, ip: IpAddr, record: Option<&Record>) -> Result<Seen, OcfError> {
        if !self.enter(cx, self.namespace.as_deref())? {
            return Ok(Seen { state: State::Stopped, right: None });
        }
        Ok(look(&mut Netlink::route()?, ip, &self.expected(record))?)
    }

    /// How the address should be: by the parameters, and where those say nothing, as the start had it.
    fn expected(&self, record: Option<&Record>) -> Expected {
        let record = record.filter(|record| self.is_of(record));
        Expected {
            nic: self.nic.clone(),
            index: record.map(|record| record.index),
            prefix: self.prefix.or(record.map(|record| record.prefix)),
            label: self.label.clone(),
            check_link: self.check_link,
            namespace: self.namespace.clone(),
        }
    }

    /// Whether a start with these parameters wrote the record, as far as they say which address it is.
    fn is_of(&self, record: &Record) -> bool {
        let is_same = self.ip == Ok(record.ip) && self.namespace == record.namespace;
        is_same && (!look::is_link_local(record.ip) || self.nic == record.nic)
    }

    /// What these parameters say of an address on that link, 0 when it is not known.
    fn record(&self, ip: IpAddr, index: u32, prefix: u8) -> Record {
        let (nic, namespace, since) = (self.nic.clone(), self.namespace.clone(), task::now_in_ticks().unwrap_or(0));
        Record { ip, prefix, index, nic, namespace, source_label: None, since }
    }

    /// The record of another address that this resource had, if that is still there.
    fn left_behind(&self, cx: &Context, record: Option<Record>) -> Result<Option<Record>, OcfError> {
        let Some(record) = record.filter(|record| !self.is_of(record)) else { return Ok(None) };
        if !self.enter(cx, record.namespace.as_deref())? {
            return Ok(None);
        }
        let is_there = !look::find(&mut Netlink::route()?, record.ip, Some(record.index), None)?.is_empty();
        Ok(is_there.then_some(record))
    }

    /// Keeps the list of connections and the neighbours up to date.
    fn keep_up(&self, cx: &Context, ip: IpAddr, link: &Link, record: &Record) {
        // What failed is tried again, so that the doubt goes away when it works.
        let has_failed = announce::background(cx).failure().is_some();
        let count = if has_failed { self.announcing.count } else { self.announcing.refresh };
        let announced = self.announcing.again(cx, ip, link, count);
        // The node that had the address before may carry over its own list yet.
        let is_anew = record.is_younger_than(connections::SYNC * 2);
        let remembered = self.remembering.remember(cx, ip, self.home.get(), is_anew);
        for e in [announced.err(), remembered.err()].into_iter().flatten() {
            tracing::warn!("{e}");
        }
    }

    /// Takes away what one record describes. `is_served` when its connections are worth remembering.
    fn take_away(&self, cx: &Context, record: &Record, is_served: bool) -> Result<(), OcfError> {
        if !self.enter(cx, record.namespace.as_deref())? {
            return Ok(());
        }
        Remembering::start_over(cx);
        // Of an address that has gone there are no connections left to list, and the list is the other node's by now.
        if is_served && !look::find(&mut Netlink::route()?, record.ip, Some(record.index), None)?.is_empty() {
            match self.remembering.remember_at_last(cx, record.ip, self.home.get()) {
                Ok(Some(saving)) if !saving.is_done_by(cx.deadline.share(0.3).within(stop::SAVING)) => {
                    tracing::warn!("tickle_dir: the connections are still being written");
                }
                Ok(_) => {}
                Err(e) => tracing::warn!("{e}"),
            }
        }
        stop::remove(cx, record)
    }
}

impl Agent for Vip {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        if let Err(why) = &self.ip {
            if cx.env.is_probe() {
                tracing::warn!("ip: {why}");
                return Ok(State::Stopped);
            }
        }
        let ip = self.sound()?;
        let record = Record::load(cx);
        let seen = self.look(cx, ip, record.as_ref())?;
        if seen.state.is_stopped() {
            let left = self.left_behind(cx, record)?;
            return Ok(
                left.map_or(State::Stopped, |left| State::Partial(format!("{} of an earlier start is still there", left.ip)))
            );
        }
        let Some((_, link)) = &seen.right else { return Ok(seen.state) };
        let is_only_the_link = matches!(seen.state, State::Failed(_)) && link.trouble().is_some();
        if is_only_the_link && health::recovers(cx, link) {
            return Ok(self.look(cx, ip, record.as_ref())?.state);
        }
        let doubt = match &seen.state {
            State::Running => health::doubt(cx, link),
            State::Degraded(why) => Some(why.clone()),
            _ => return Ok(seen.state),
        };
        // What was not started here is only looked at.
        if let Some(record) = &record {
            self.keep_up(cx, ip, link, record);
        }
        if level >= Level::Config {
            if let Some(why) = health::duplicate(cx, ip, link) {
                return Ok(self.on_duplicate.state(why));
            }
        }
        Ok(doubt.map_or(State::Running, State::Degraded))
    }

    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        let record = Record::load(cx);
        let is_recorded = record.is_some();
        if let Ok(ip) = self.ip {
            let seen = self.look(cx, ip, record.as_ref())?;
            if !seen.state.is_stopped() {
                return Ok(seen.state);
            }
        }
        if let Some(left) = self.left_behind(cx, record)? {
            return Ok(State::Partial(format!("{} of an earlier start is still there", left.ip)));
        }
        // An address that has gone without a stop has left its connections.
        let is_swept = !is_recorded || self.is_swept.get();
        Ok(if is_swept { State::Stopped } else { State::Partial("an earlier start was never stopped".to_owned()) })
    }

    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        let ip = self.startable(cx)?;
        // Its record is about to be replaced, and nobody would know of it any more.
        if let Some(left) = self.left_behind(cx, Record::load(cx))? {
            self.take_away(cx, &left, false)?;
        }
        self.enter_own(cx)?;
        Remembering::start_over(cx);
        let link = Start::new(self, cx, ip)?.run()?;
        // The address serves, whatever becomes of this: a monitor says what did not work.
        let announced = self.announcing.after_start(cx, ip, &link);
        let woken = self.remembering.wake(cx, ip, link.hw.index);
        for e in [announced.err(), woken.err()].into_iter().flatten() {
            tracing::warn!("{e}");
        }
        Ok(())
    }

    fn start_again(&self, cx: &Context) -> Result<(), OcfError> {
        let ip = self.startable(cx)?;
        let seen = self.look(cx, ip, None)?;
        let Some((address, link)) = seen.right else { return Ok(()) };
        if Record::load(cx).is_none() {
            // Another agent may have started it.
            self.record(ip, link.hw.index, address.prefix()).save(cx)?;
        }
        self.announcing.after_start(cx, ip, &link)
    }

    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        announce::background(cx).end();
        announce::background(cx).forgive();
        connections::waker(cx).end();
        connections::saver(cx).end();
        let record = Record::load(cx);
        let is_served = record.as_ref().is_some_and(|record| self.is_of(record));
        let named = self.ip.as_ref().ok().filter(|_| !is_served).map(|ip| self.record(*ip, 0, 0));
        let mut failure = None;
        for one in [named, record].into_iter().flatten() {
            if let Err(e) = self.take_away(cx, &one, is_served) {
                failure = Some(e);
            }
        }
        failure.map_or(Ok(()), Err)?;
        self.is_swept.set(true);
        Record::forget(cx);
        Ok(())
    }

    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError> {
        let ip = self.startable(cx)?;
        if level == Level::Cheap {
            return Ok(());
        }
        self.enter_own(cx)?;
        let mut netlink = Netlink::route()?;
        if let Some(name) = &self.nic {
            Link::by_name(&mut netlink, name)?.ok_or_else(|| missing("nic", format_args!("no {name} here")))?;
        } else if route::network_of(&mut netlink, ip, None, self.origin)?.is_none() {
            return Err(missing("nic", format_args!("not set, and no route leads directly to the network of {ip}")));
        }
        self.remembering.validate(cx)
    }

    fn reload_agent(&self, cx: &Context) -> Result<(), OcfError> {
        self.startable(cx)?;
        // The directory may be another one.
        Remembering::start_over(cx);
        Ok(())
    }
}

/// What is not on this node.
fn missing(parameter: &str, why: impl std::fmt::Display) -> OcfError {
    OcfError::new(Code::Installed, format_args!("{parameter}: {why}"))
}
