#!/bin/bash
# Several targets in one cluster of two nodes, spread over both: each has a DRBD resource, a volume group, its own target and its own
# address, and moves by itself. Copy it, adapt the first lines, and run it once, on one node of a running cluster with fencing; docs/install.md
# is the way up to there.
set -euo pipefail

# One line for each: a name, the DRBD resource, the volume group on it, the target's IQN, its address, where it runs by preference.
targets=${TARGETS:-"
a r0 vg1 iqn.2016-12.net.example:a 10.110.88.59 node1
b r1 vg2 iqn.2016-12.net.example:b 10.110.88.60 node2"}
config=${CONFIG:-/etc/target/saveconfig.json} # with all of the targets, the same on both nodes, mode 0600
prefix=${PREFIX:-26}
nic=${NIC:-bond0}

if ! pcs stonith 2>/dev/null | grep -q stonith:; then
    echo 'no fencing device is configured: pcs stonith create … first, and try it with pcs stonith fence NODE' >&2
    exit 1
fi

# All of it becomes known at once, so that nothing starts before its constraints are there.
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
pcs cluster cib "$work/before"
cp "$work/before" "$work/cib"
p() { pcs -f "$work/cib" "$@"; }

# What these are for: san-two-nodes.pcs.sh.
p property set stonith-enabled=true no-quorum-policy=freeze
p resource defaults update resource-stickiness=200 migration-threshold=2
while read -r name resource vg iqn address preferred; do
    [ -n "$name" ] || continue
    p resource create "p_drbd_$name" ocf:san:DRBD-helper drbd_resource="$resource" uplink="$nic" \
        promotable promoted-max=1 promoted-node-max=1 clone-max=2 clone-node-max=1 notify=true
    p resource create "p_lvm_$name" ocf:san:cLVM vgname="$vg" --group "g_san_$name"
    # With iqn the agent has its own target and its disks in the common file, and leaves the others alone.
    p resource create "p_lio_$name" ocf:san:LIO config="$config" iqn="$iqn" --group "g_san_$name"
    p resource create "p_vip_$name" ocf:san:VIP ip="$address" cidr_netmask="$prefix" nic="$nic" \
        meta failure-timeout=60s --group "g_san_$name"
    p constraint colocation add "g_san_$name" with Promoted "p_drbd_$name-clone" INFINITY
    p constraint order promote "p_drbd_$name-clone" 'then' start "g_san_$name"
    p constraint location "g_san_$name" prefers "$preferred=50"
done <<<"$targets"

pcs cluster cib-push "$work/cib" "diff-against=$work/before"
