//! The parameters of `VIP`: those of IPaddr2 by their names and defaults, and a few more.

use std::path::PathBuf;

use super::values::{
    AtLeastOnce, Broadcast, CommandLine, Count, Label, Lifetime, Namespace, Nic, Ports, Positive, Prefix, RouteOrigin,
};
use crate::ocf::doubt::OnDoubt;
use crate::ocf::spec::{Declared, Param};

/// `ip`. Read by [`super::values::address`], so that a stop and a probe can say what an unreadable one means to them.
pub static IP: Param<String> = Param::required(
    "ip",
    "IPv4 or IPv6 address",
    "The virtual address, such as 192.168.1.1 or 2001:db8::1. It must be on no machine while this is stopped.",
)
.unique();

/// `nic`.
pub static NIC: Param<Nic> = Param::optional(
    "nic",
    "Network interface",
    "The link that gets the address, by its name or an alternative name. When unset: that of the directly connected network which the \
     address belongs to, the longest prefix first, so it may have another name on each node. The old form NIC:LABEL is understood.",
);

/// `cidr_netmask`.
pub static CIDR_NETMASK: Param<Prefix> = Param::optional(
    "cidr_netmask",
    "Prefix length",
    "How many bits of the address are the network's, such as 24; a netmask such as 255.255.255.0 is understood. When unset: as the route \
     to the network has it.",
);

/// `netmask`: an older name.
pub static NETMASK: Param<Prefix> =
    Param::optional("netmask", "Prefix length", "An older name of cidr_netmask, which comes first.").replaced_by("cidr_netmask");

/// `broadcast`.
pub static BROADCAST: Param<Broadcast> = Param::optional(
    "broadcast",
    "Broadcast address",
    "IPv4: the broadcast address; + sets and - clears all bits of the host. When unset: +.",
);

/// `proto`.
pub static PROTO: Param<RouteOrigin> = Param::optional(
    "proto",
    "Origin of the routes to look at",
    "Looks for nic and cidr_netmask only among the routes of this origin, such as kernel or static.",
);

/// `metric`.
pub static METRIC: Param<u32> =
    Param::optional("metric", "Metric of the route", "The metric of the route to the network that comes with the address.");

/// `iflabel`.
pub static IFLABEL: Param<Label> = Param::optional(
    "iflabel",
    "Label of the address",
    "IPv4: the address is labelled NIC:IFLABEL, at most 15 characters in all. IPv6 addresses have no label.",
);

/// `lvs_ipv6_addrlabel`.
pub static SOURCE_LABEL: Param<bool> = Param::or(
    "lvs_ipv6_addrlabel",
    "true",
    "Keep an IPv6 address from being a source",
    "IPv6: gives the address a label of its own in the source address selection (ip addrlabel), so that connections which this machine \
     opens do not come from the virtual address.",
);

/// `lvs_ipv6_addrlabel_value`.
pub static SOURCE_LABEL_VALUE: Param<u32> =
    Param::or("lvs_ipv6_addrlabel_value", "99", "The label for lvs_ipv6_addrlabel", "A label that nothing else uses.");

/// `arp_interval`.
pub static ARP_INTERVAL: Param<Positive> = Param::or(
    "arp_interval",
    "200",
    "Milliseconds between announcements",
    "Milliseconds from one announcement (gratuitous ARP, unsolicited neighbour advertisement) to the next.",
)
.reloadable();

/// `arp_count`.
pub static ARP_COUNT: Param<AtLeastOnce> = Param::or(
    "arp_count",
    "5",
    "Announcements after a start",
    "How often the address is announced after a start, at once and once more 5 s later.",
)
.reloadable();

/// `arp_count_refresh`.
pub static ARP_COUNT_REFRESH: Param<Count> =
    Param::or("arp_count_refresh", "0", "Announcements with a monitor", "How often each monitor announces the address again.")
        .reloadable();

/// `arp_bg`.
pub static ARP_BG: Param<bool> = Param::optional(
    "arp_bg",
    "Announce in the background",
    "The address is announced by a process of its own. With no, a start waits until its first announcements are sent.",
)
.reloadable();

/// `send_arp_opts`.
pub static SEND_ARP_OPTS: Param<String> = Param::optional(
    "send_arp_opts",
    "Form of the announcement",
    "IPv4: -A announces by ARP replies only, -U by ARP requests only. When unset: by both, since some switches and firewalls learn from one \
     form only. Other options are ignored.",
)
.reloadable();

/// `run_arping`.
pub static RUN_ARPING: Param<bool> = Param::or(
    "run_arping",
    "false",
    "Look for another owner before a start",
    "IPv4: whether a start first asks the network for half a second who has the address, and fails if somebody does. IPv6 does it in \
     the kernel, unless nodad is set.",
)
.reloadable();

/// `nodad`.
pub static NODAD: Param<bool> = Param::or(
    "nodad",
    "false",
    "No duplicate address detection",
    "IPv6: uses the address at once, without the kernel's one or two seconds of looking for another owner.",
);

/// `noprefixroute`.
pub static NOPREFIXROUTE: Param<bool> =
    Param::or("noprefixroute", "false", "No route to the network", "Adds the address without the route to its network.");

/// `preferred_lft`.
pub static PREFERRED_LFT: Param<Lifetime> = Param::or(
    "preferred_lft",
    "forever",
    "Preferred lifetime",
    "IPv6: for how many seconds the address may be the source of new connections; 0 is never.",
);

/// `network_namespace`.
pub static NETWORK_NAMESPACE: Param<Namespace> = Param::optional(
    "network_namespace",
    "Network namespace",
    "The network namespace (ip netns) that the address lives in. When unset: that of the cluster.",
);

/// `check_link_status`.
pub static CHECK_LINK_STATUS: Param<bool> = Param::or(
    "check_link_status",
    "true",
    "Fail when the link is down",
    "Whether an address on a link that is down or has no carrier has failed.",
)
.reloadable();

/// `carrier_wait`.
pub static CARRIER_WAIT: Param<u32> = Param::or(
    "carrier_wait",
    "5",
    "Seconds to wait for the link",
    "How many seconds a start waits for the carrier, which a bond or a switch may take to give after the link came up. With \
     check_link_status=false it does not wait.",
)
.reloadable();

/// `monitor_on_duplicate`.
pub static MONITOR_ON_DUPLICATE: Param<OnDoubt> = Param::or(
    "monitor_on_duplicate",
    "degraded",
    "What a monitor says of another owner",
    "What a monitor with OCF_CHECK_LEVEL=10 reports when another machine has the address as well: degraded (running, shown with the \
     other hardware address, no recovery) or fail (recover the resource, which drives nobody else off the address).",
)
.reloadable();

/// `tickle_ports`.
pub static TICKLE_PORTS: Param<Ports> = Param::or(
    "tickle_ports",
    "3260",
    "Ports whose connections are remembered",
    "The TCP ports of this address whose connections tickle_dir keeps, separated by blanks or commas.",
)
.reloadable();

/// `tickle_dir`.
pub static TICKLE_DIR: Param<PathBuf> = Param::optional(
    "tickle_dir",
    "Where connections are remembered",
    "A directory for the list of connections to the address, which every monitor and the stop keep up to date. A start on the other node \
     sends each peer in it a packet that makes an idle initiator notice the move, and reconnect, at once. The directory must be shared by \
     the nodes, or sync_script must carry the file over. It has the form that ocf:heartbeat:portblock uses. When unset: nothing is kept.",
)
.reloadable();

/// `sync_script`.
pub static SYNC_SCRIPT: Param<CommandLine> = Param::optional(
    "sync_script",
    "Carries the list to the other nodes",
    "A program, such as \"csync2 -xv\", that is called with the path of the list in tickle_dir each time it has changed, in the background \
     and for at most 20 s.",
)
.reloadable();

/// Parameters of IPaddr2 that are accepted for the sake of old configurations, whatever their value, and have no effect.
pub static OBSOLETE: [Param<String>; 12] = [
    obsolete("lvs_support"),
    obsolete("mac"),
    obsolete("clusterip_firewall"),
    obsolete("clusterip_hash"),
    obsolete("clusterip_hash_seed"),
    obsolete("clusterip_table"),
    obsolete("clusterip_chain"),
    obsolete("clusterip_mac_mangle"),
    obsolete("unique_clone_address"),
    obsolete("arp_sender"),
    obsolete("arp_mac"),
    obsolete("flush_routes"),
];

const fn obsolete(name: &'static str) -> Param<String> {
    Param::optional(name, "Without effect", "A parameter of IPaddr2 that has no effect here.").obsolete()
}

/// All of them, in the order in which they are shown.
pub static ALL: &[&dyn Declared] = &[
    &IP,
    &NIC,
    &CIDR_NETMASK,
    &NETMASK,
    &BROADCAST,
    &PROTO,
    &METRIC,
    &IFLABEL,
    &NETWORK_NAMESPACE,
    &CHECK_LINK_STATUS,
    &CARRIER_WAIT,
    &RUN_ARPING,
    &MONITOR_ON_DUPLICATE,
    &NODAD,
    &NOPREFIXROUTE,
    &PREFERRED_LFT,
    &SOURCE_LABEL,
    &SOURCE_LABEL_VALUE,
    &ARP_INTERVAL,
    &ARP_COUNT,
    &ARP_COUNT_REFRESH,
    &ARP_BG,
    &SEND_ARP_OPTS,
    &TICKLE_PORTS,
    &TICKLE_DIR,
    &SYNC_SCRIPT,
    &OBSOLETE[0],
    &OBSOLETE[1],
    &OBSOLETE[2],
    &OBSOLETE[3],
    &OBSOLETE[4],
    &OBSOLETE[5],
    &OBSOLETE[6],
    &OBSOLETE[7],
    &OBSOLETE[8],
    &OBSOLETE[9],
    &OBSOLETE[10],
    &OBSOLETE[11],
];
