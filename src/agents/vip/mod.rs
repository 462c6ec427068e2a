//! `VIP`: a virtual IP address that moves with the resource, over netlink and with packets of our own. Takes the parameters of IPaddr2.

mod announce;
mod background;
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
use self::values::{Broadcast, OnDuplicate};
use crate::kernel::net::announce::Form;
use crate::kernel::net::link::{Link, MAX_NAME};
use crate::kernel::net::namespace::{self, Home};
use crate::kernel::net::netlink::Netlink;
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
    broadcast: Option<Broadcast>,
    origin: Option<u8>,
    metric: Option<u32>,
    label: Option<String>,
    namespace: Option<String>,
    check_link: bool,
    carrier_wait: Duration,
    run_arping: bool,
    on_duplicate: OnDuplicate,
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
        prefix: params.opt(&params::CIDR_NETMASK)?.or(params.opt(&params::NETMASK)?).map(|prefix| prefix.0),
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
            refresh: params.get(&params::ARP_COUNT_REFRESH)?,
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
    /// The address.
    fn ip(&self) -> Result<IpAddr, OcfError> {
        self.ip.as_ref().copied().map_err(|why| wrong("ip", why))
    }

    /// The address, if the parameters go together. What is wrong on every node is no state of the resource.
    fn sound(&self) -> Result<IpAddr, OcfError> {
        let ip = self.ip()?;
        if ip.is_ipv4() && self.prefix.is_some_and(|prefix| prefix > 32) {
            return Err(wrong("cidr_netmask", "more than 32 bits for an IPv4 address"));
        }
        if let (IpAddr::V6(six), None) = (ip, &self.nic) {
            if six.is_unicast_link_local() {
                return Err(wrong("nic", "not set, and every link has the network of a link-local address"));
            }
        }
        if let (true, Some(label), Some(nic)) = (ip.is_ipv4(), &self.label, &self.nic) {
            // A longer name is an alternative one, and the label goes with the link's own.
            let is_too_long = nic.len() <= MAX_NAME && nic.len() + 1 + label.len() > MAX_NAME;
            if is_too_long {
                return Err(wrong("iflabel", format_args!("{nic}:{label} has more than {MAX_NAME} characters")));
            }
        }
        if self.remembering.sync.is_some() && self.remembering.dir.is_none() {
            return Err(wrong("sync_script", "there is nothing to carry over without tickle_dir"));
        }
        Ok(ip)
    }

    /// As [`Vip::sound`], of what only a start can get wrong.
    fn startable(&self, cx: &Context) -> Result<IpAddr, OcfError> {
        let ip = self.sound()?;
        let clones = cx.env.get("OCF_RESKEY_CRM_meta_clone_max").and_then(|text| text.trim().parse().ok()).unwrap_or(1);
        if clones > 1 {
            return Err(OcfError::new(
                Code::Configured,
                "clone-max: a virtual address is on one node at a time and can not be cloned",
            ));
        }
        if !self.obsolete.is_empty() {
            tracing::warn!("{}: without effect here", self.obsolete.join(", "));
        }
        if ip.is_ipv6() && self.label.is_some() {
            tracing::warn!("iflabel: without effect, IPv6 addresses have no labels");
        }
        Ok(ip)
    }

    /// Puts this thread into that network namespace; whether there is one of that name.
    fn enter(&self, cx: &Context, name: Option<&str>) -> Result<bool, OcfError> {
        match (name, self.home.get()) {
            (None, None) => Ok(true),
            (None, Some(home)) => Ok(home.go_back().map(|()| true)?),
            (Some(name), _) => match namespace::enter(cx.root, name)? {
                Some(home) => {
                    // The first one is the cluster's.
                    let _ = self.home.set(home);
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }

    /// What is there, in this resource's network namespace.
    fn look(&self, cx: &Context, ip: IpAddr, expected: &Expected) -> Result<Seen, OcfError> {
        if !self.enter(cx, self.namespace.as_deref())? {
            return Ok(Seen { state: State::Stopped, right: None });
        }
        Ok(look(&mut Netlink::route()?, ip, expected)?)
    }

    /// What a stop has to take away: what the parameters name and what the start recorded.
    fn belongings(&self, record: Option<Record>) -> Vec<(Option<String>, IpAddr, Option<u32>)> {
        let mut all = Vec::new();
        if let Ok(ip) = self.ip {
            all.push((self.namespace.clone(), ip, self.source_label));
        }
        if let Some(record) = record {
            all.retain(|(namespace, ip, _)| (namespace, ip) != (&record.namespace, &record.ip));
            all.push((record.namespace, record.ip, record.source_label));
        }
        all
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
        let seen = self.look(cx, ip, &self.expected(Record::load(cx).as_ref()))?;
        let (State::Running, Some((_, link))) = (&seen.state, &seen.right) else { return Ok(seen.state) };
        let doubt = health::doubt(cx, link)?;
        if !cx.env.is_probe() {
            // What failed is tried again, so that the doubt goes away when it works.
            let has_failed = announce::background(cx).failure().is_some();
            let count = if has_failed { self.announcing.count } else { self.announcing.refresh };
            let announced = self.announcing.again(cx, ip, link, count);
            let remembered = self.remembering.remember(cx, ip, self.home.get());
            for e in [announced.err(), remembered.err()].into_iter().flatten() {
                tracing::warn!("{e}");
            }
        }
        if level >= Level::Config {
            if let Some(why) = health::duplicate(cx, ip, link)? {
                return Ok(match self.on_duplicate {
                    OnDuplicate::Degraded => State::Degraded(why),
                    OnDuplicate::Fail => State::Failed(why),
                });
            }
        }
        Ok(doubt.map_or(State::Running, State::Degraded))
    }

    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        let record = Record::load(cx);
        if let Ok(ip) = self.ip {
            let seen = self.look(cx, ip, &self.expected(record.as_ref()))?;
            if !seen.state.is_stopped() {
                return Ok(seen.state);
            }
        }
        let Some(record) = record else { return Ok(State::Stopped) };
        // What the start has put elsewhere is ours as well.
        if self.enter(cx, record.namespace.as_deref())? {
            let seen = look(&mut Netlink::route()?, record.ip, &Expected::default())?;
            if !seen.state.is_stopped() {
                return Ok(State::Partial(format!("{} is still there", record.ip)));
            }
        }
        // The address has gone without a stop, which has its connections to look after.
        Ok(if self.is_swept.get() { State::Stopped } else { State::Partial("an earlier start was never stopped".to_owned()) })
    }

    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        let ip = self.startable(cx)?;
        if !self.enter(cx, self.namespace.as_deref())? {
            let name = self.namespace.as_deref().unwrap_or_default();
            return Err(OcfError::new(Code::Installed, format_args!("network_namespace: no {name} here")));
        }
        let link = Start::new(self, cx, ip)?.run()?;
        // The address serves, whatever becomes of this: a monitor says what did not work.
        Remembering::start_over(cx)?;
        let announced = self.announcing.after_start(cx, ip, &link);
        let woken = self.remembering.wake(cx, ip, link.hw.index);
        for e in [announced.err(), woken.err()].into_iter().flatten() {
            tracing::warn!("{e}");
        }
        Ok(())
    }

    fn start_again(&self, cx: &Context) -> Result<(), OcfError> {
        let ip = self.startable(cx)?;
        let seen = self.look(cx, ip, &self.expected(None))?;
        let Some((_, link)) = seen.right else { return Ok(()) };
        self.announcing.again(cx, ip, &link, self.announcing.count)
    }

    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        announce::background(cx).end();
        connections::waker(cx).end();
        let record = Record::load(cx);
        let mut failure = None;
        for (namespace, ip, source_label) in self.belongings(record) {
            if !self.enter(cx, namespace.as_deref())? {
                continue;
            }
            if Ok(ip) == self.ip {
                connections::saver(cx).end();
                match self.remembering.remember(cx, ip, self.home.get()) {
                    Ok(Some(saving)) if !saving.is_done_by(cx.deadline.share(0.3).within(stop::SAVING)) => {
                        tracing::warn!("tickle_dir: the connections are still being written");
                    }
                    Ok(_) => {}
                    Err(e) => tracing::warn!("{e}"),
                }
            }
            if let Err(e) = stop::remove(cx, ip, source_label) {
                failure = Some(e);
            }
        }
        failure.map_or(Ok(()), Err)?;
        self.is_swept.set(true);
        Record::forget(cx);
        Ok(())
    }

    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError> {
        self.startable(cx)?;
        if level == Level::Cheap {
            return Ok(());
        }
        if !self.enter(cx, self.namespace.as_deref())? {
            let name = self.namespace.as_deref().unwrap_or_default();
            return Err(OcfError::new(Code::Installed, format_args!("network_namespace: no {name} here")));
        }
        if let Some(name) = &self.nic {
            if Link::by_name(&mut Netlink::route()?, name)?.is_none() {
                return Err(OcfError::new(Code::Installed, format_args!("nic: no {name} here")));
            }
        }
        self.remembering.validate(cx)
    }

    fn reload_agent(&self, cx: &Context) -> Result<(), OcfError> {
        self.startable(cx)?;
        // The directory may be another one.
        Remembering::start_over(cx)
    }
}

fn wrong(parameter: &str, why: impl std::fmt::Display) -> OcfError {
    OcfError::new(Code::Configured, format_args!("{parameter}: {why}"))
}
