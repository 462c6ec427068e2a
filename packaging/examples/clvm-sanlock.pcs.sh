#!/bin/bash
# A shared volume group whose locks sanlock keeps as leases on its own disks, under Pacemaker: systemd starts the lock daemons at boot, the
# cluster the volumes. Copy it, adapt the first lines, run it once, on one node of a running cluster. docs/lvmlockd.md says what each part
# is for.
set -euo pipefail

vg=${VG:-vgs}                    # made by: vgcreate --shared --locktype sanlock "$vg" /dev/...
exclusive=${EXCLUSIVE:-lv1}      # active on one node at a time; moves with its group
shared=${SHARED:-lv2}            # active on every node at once: for a cluster file system, or software that locks by itself
agent=${AGENT:-ocf:san:cLVM}       # ocf:heartbeat:LVM-activate takes the same parameters

# On every node beforehand:
#   - packages: lvm2-lockd sanlock; ocf-san
#   - use_lvmlockd = 1 in the section global, and host_id = N in the section local of /etc/lvm/lvmlocal.conf: another N from 1 to 2000 on
#     each node. Two nodes with the same one do not start their locks.
#   - a watchdog for wdmd: it resets a node that can no longer renew its leases, which is what makes them safe. Not the one that sbd uses;
#     and sanlock_opts="-w 1" in /etc/default/sanlock, where Debian has -w 0.
#   - `systemctl enable --now wdmd sanlock lvmlockd`. Not as resources: a sanlock that holds leases does not stop, and if it is killed the
#     watchdog resets the node. (Nor is ocf:heartbeat:lvmlockd for sanlock: it wants dlm.)
for unit in sanlock lvmlockd; do
    systemctl is-active --quiet "$unit" || { echo "$unit is not running" >&2; exit 1; }
done

# The first start on a node joins the lockspace, and sanlock needs to hear from the disk that nobody else has this host_id: some 20 s, and
# after a power cut of this very node longer. Hence 180 s.
longer=(op start timeout=180s)
# Until the leases of a node that has lost its power are over (some 140 s) its exclusive volumes are refused to the others (`LV locked by other
# host`). A start that has failed is forgotten after a minute, and tried again.
again=(meta failure-timeout=60s)

# Nothing moves back by itself.
pcs resource defaults update resource-stickiness=200

# 1. An exclusive volume. The first cLVM on a node starts the lockspace of the volume group, the last one stops it.
pcs resource create "p_${exclusive}" "$agent" vgname="$vg" lvname="$exclusive" vg_access_mode=lvmlockd "${longer[@]}" "${again[@]}" --group g_san

# 2. A shared one, as a clone.
pcs resource create "p_${shared}" "$agent" vgname="$vg" lvname="$shared" vg_access_mode=lvmlockd activation_mode=shared "${longer[@]}" \
    clone interleave=true
