#!/bin/bash
# Two nodes, DRBD between them, and on it a volume group, the iSCSI target and its address, under Pacemaker. Copy it, adapt the first lines,
# run it once, on one node of a running cluster.
set -euo pipefail

resource=${RESOURCE:-r0}         # of /etc/drbd.d, the same file on both nodes
vg=${VG:-vg1}                    # on the DRBD device; made with: vgcreate --setautoactivation n
address=${ADDRESS:-10.110.88.59}
prefix=${PREFIX:-26}
nic=${NIC:-bond0}

# On both nodes beforehand:
#   - packages: drbd-utils lvm2; ocf-san
#   - `systemctl disable --now drbd.service target.service`: the cluster starts DRBD and LIO
#   - the handlers of packaging/drbd.d included, and `fencing resource-and-stonith` in the resource (in `disk` with DRBD 8.4, in `net` with 9)
#   - a global_filter in lvm.conf that lets LVM see the DRBD devices and not what is below them
#   - fencing that works (`pcs stonith`): without it a node that is lost may go on writing

# A configuration with ocf:linbit:drbd moves over by the name of the agent: the parameters are the same.
pcs resource create p_drbd ocf:san:DRBD-helper drbd_resource="$resource" \
    op start timeout=60s op stop timeout=60s op promote timeout=90s op demote timeout=60s op notify timeout=30s \
    op monitor interval=10s timeout=20s role=Promoted op monitor interval=20s timeout=20s role=Unpromoted \
    promotable promoted-max=1 clone-max=2 notify=true

pcs resource create p_lvm ocf:san:cLVM vgname="$vg" --group g_san
pcs resource create p_lio ocf:san:LIO --group g_san
pcs resource create p_vip ocf:san:VIP ip="$address" cidr_netmask="$prefix" nic="$nic" --group g_san
pcs constraint colocation add g_san with Promoted p_drbd-clone INFINITY
pcs constraint order promote p_drbd-clone 'then' start g_san
