#!/bin/bash
# Two nodes, DRBD between them, and on it a volume group, the iSCSI targets and their address. Copy it, adapt the first lines, and run it
# once, on one node of a running cluster; docs/install.md is the way up to there. For crmsh: san-two-nodes.crm.sh.
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
usage: san-two-nodes.pcs.sh --fencing | --no-fencing

--fencing     for a cluster that can switch its nodes off (pcs stonith create …, done before)
--no-fencing  for one that can not. What that risks: when the two nodes lose each other but not the initiators, each believes that the
              other one is gone. The second promotes its DRBD as well unless the handler of DRBD has put its constraint in place in time,
              and both then serve, with the same address, disks that go different ways: a split brain, and one side's writes are lost.
              A stop that hangs is ended by the node's own reboot. Have at least two independent rings.
Either with `fencing resource-and-stonith` in DRBD: a Primary that has lost its peer acknowledges nothing until fence-peer has answered.
TEXT
}
case ${1-} in
    --fencing) stonith=true ;;
    --no-fencing) stonith=false ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac
if [ "$stonith" = true ] && ! pcs stonith 2>/dev/null | grep -q stonith:; then
    echo 'no fencing device is configured: pcs stonith create … first, and try it with pcs stonith fence NODE' >&2
    exit 1
fi

# All of it becomes known at once, so that nothing starts before its constraints are there.
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
pcs cluster cib "$work/before"
cp "$work/before" "$work/cib"
p() { pcs -f "$work/cib" "$@"; }

# With corosync's two_node the one that is left keeps the quorum, and one that comes up alone has none until it has seen the other one: it waits
# then, where with `ignore` it would have the other one fenced. `freeze`: what runs goes on.
p property set stonith-enabled=$stonith no-quorum-policy=freeze
# priority-fencing-delay: of two nodes that lose each other the one with the address is to be the quicker one; the other waits for so long
# before it fences. Some seconds longer than it takes to switch a node off, because the two do not notice at the same moment; and it is part of the pause when the node with
# the address really dies.
p property set priority-fencing-delay=10s
# failure-timeout: where neither node has a link to the LAN the address fails on both; once a minute it is tried again, and the group with it,
# so that it comes back by itself once the switch does, before initiators give up. Of all else two failures move it; it stays where it is after that, until somebody has cleaned up (docs/failures.md).
p resource defaults update resource-stickiness=200 migration-threshold=2

# Time-outs and intervals are those that the agents' meta-data advises, which pcs takes by itself.
p resource create p_drbd ocf:san:DRBD-helper drbd_resource="$resource" uplink="$nic" \
    promotable promoted-max=1 promoted-node-max=1 clone-max=2 clone-node-max=1 notify=true
p resource create p_lvm ocf:san:cLVM vgname="$vg" --group g_san
p resource create p_lio ocf:san:LIO config="$config" --group g_san
p resource create p_vip ocf:san:VIP ip="$address" cidr_netmask="$prefix" nic="$nic" \
    meta priority=10 failure-timeout=60s --group g_san
p constraint colocation add g_san with Promoted p_drbd-clone INFINITY
p constraint order promote p_drbd-clone 'then' start g_san
p constraint location g_san prefers "$preferred=50"

pcs cluster cib-push "$work/cib" "diff-against=$work/before"
