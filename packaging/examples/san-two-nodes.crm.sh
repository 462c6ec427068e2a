#!/bin/bash
# Two nodes, DRBD between them, and on it a volume group, the iSCSI targets and their address, for crmsh. Copy it, adapt the first lines,
# and run it once, on one node of a running cluster; docs/install.md is the way up to there. For pcs: san-two-nodes.pcs.sh.
set -euo pipefail

resource=${RESOURCE:-r0}            # of /etc/drbd.d, the same file on both nodes
vg=${VG:-vg1}                       # on the DRBD device; made with: vgcreate --setautoactivation n
config=${CONFIG:-/etc/target/saveconfig.json} # of targetcli, the same on both nodes, mode 0600
address=${ADDRESS:-10.110.88.59}    # where initiators connect to
prefix=${PREFIX:-26}
nic=${NIC:-bond0}
preferred=${PREFERRED:-node1}       # where it runs when both nodes are new; it does not go back there by itself

usage() {
    cat <<'TEXT'
usage: san-two-nodes.crm.sh --fencing | --no-fencing

--fencing     for a cluster that can switch its nodes off (a stonith primitive, made before)
--no-fencing  for one that can not. What that risks: see san-two-nodes.pcs.sh --help
Either with `fencing resource-and-stonith` in DRBD.
TEXT
}
case ${1-} in
    --fencing) stonith=true ;;
    --no-fencing) stonith=false ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac
if [ "$stonith" = true ] && ! crm configure show type:primitive | grep -q 'stonith:'; then
    echo 'no fencing device is configured: crm configure primitive … stonith:… first, and try it with crm node fence NODE' >&2
    exit 1
fi

# The operations as the meta-data of an agent advises them: `op start timeout=30s interval=0s op monitor …`.
operations() { # AGENT
    crm_resource --show-metadata "ocf:san:$1" | python3 -c '
import sys, xml.etree.ElementTree as tree
for action in tree.parse(sys.stdin).iter("action"):
    name, role, depth = action.get("name"), action.get("role"), action.get("depth", "0")
    if name in ("meta-data", "validate-all", "reload-agent"):
        continue
    words = ["op", name, "timeout=" + action.get("timeout"), "interval=" + action.get("interval", "0s")]
    words += ["role=" + role] if role else []
    words += ["OCF_CHECK_LEVEL=" + depth] if depth != "0" else []
    print(*words, end=" ")'
}

# priority-fencing-delay: of two nodes that lose each other the one with the address is to be the quicker one; the other waits for so long
# before it fences. Some seconds longer than it takes to switch a node off, because the two do not notice at the same moment; and it is part of the pause when the node with
# the address really dies.
# freeze, failure-timeout: see san-two-nodes.pcs.sh.
# All of it becomes known at once, so that nothing starts before its constraints are there.
crm configure load update - <<END
primitive p_drbd ocf:san:DRBD-helper params drbd_resource=$resource uplink=$nic $(operations DRBD-helper)
primitive p_lvm ocf:san:cLVM params vgname=$vg $(operations cLVM)
primitive p_lio ocf:san:LIO params config=$config $(operations LIO)
primitive p_vip ocf:san:VIP params ip=$address cidr_netmask=$prefix nic=$nic meta priority=10 failure-timeout=60s $(operations VIP)
clone p_drbd-clone p_drbd meta promotable=true promoted-max=1 promoted-node-max=1 clone-max=2 clone-node-max=1 notify=true
group g_san p_lvm p_lio p_vip
colocation san-with-drbd inf: g_san p_drbd-clone:Promoted
order drbd-before-san Mandatory: p_drbd-clone:promote g_san:start
location san-preferred g_san 50: $preferred
property stonith-enabled=$stonith no-quorum-policy=freeze priority-fencing-delay=10s
rsc_defaults resource-stickiness=200 migration-threshold=2
END
