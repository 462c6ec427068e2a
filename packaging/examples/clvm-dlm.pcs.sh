#!/bin/bash
# A shared volume group whose locks dlm keeps, under Pacemaker: the cluster starts the lock daemons, then the volumes.
# Copy it, adapt the first lines, run it once, on one node of a running cluster. docs/lvmlockd.md says what each part is for.
set -euo pipefail

vg=${VG:-vgs}                    # made by: vgcreate --shared "$vg" /dev/...   (once the daemons of step 1 run)
exclusive=${EXCLUSIVE:-lv1}      # active on one node at a time; moves with its group
shared=${SHARED:-lv2}            # active on every node at once: for a cluster file system, or software that locks by itself
agent=${AGENT:-ocf:san:cLVM}       # ocf:heartbeat:LVM-activate takes the same parameters

# On every node beforehand:
#   - packages: lvm2-lockd dlm-controld resource-agents; ocf-san
#   - use_lvmlockd = 1 in the section global of /etc/lvm/lvm.conf or lvmlocal.conf
#   - `systemctl disable --now dlm lvmlockd lvmlocks`: the cluster is to start them, not systemd
#   - fencing that works. After a node is lost dlm gives no lock to anybody until it has heard that the node was fenced: without a
#     fence device that is for ever, and ocf:pacemaker:controld refuses to start.

# All of it becomes known at once, so that no volume starts before its daemons.
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
pcs cluster cib "$work/before"
cp "$work/before" "$work/cib"
p() { pcs -f "$work/cib" "$@"; }

# Nothing moves back by itself.
p resource defaults update resource-stickiness=200

# 1. The lock daemons, on every node. Without quorum dlm gives no lock either: what runs goes on, nothing is moved.
p property set no-quorum-policy=freeze
p resource create p_dlm ocf:pacemaker:controld \
    op start timeout=90s op stop timeout=100s op monitor interval=30s timeout=30s on-fail=fence --group g_locks
# on-fail=fence: to restart a crashed lvmlockd in place, Pacemaker first stops the volumes, whose locks then nobody gives back, and no node
# can start them any more.
p resource create p_lvmlockd ocf:heartbeat:lvmlockd \
    op start timeout=90s op stop timeout=90s op monitor interval=30s timeout=30s on-fail=fence --group g_locks
# interleave: a node waits for its own daemons, not for those of all nodes.
p resource clone g_locks interleave=true

# 2. An exclusive volume. The first cLVM on a node starts the lockspace of the volume group, the last one stops it. The operations are those
# that the agent advises: monitors every 10 s and, down to the disk, every 60 s.
p resource create "p_${exclusive}" "$agent" vgname="$vg" lvname="$exclusive" vg_access_mode=lvmlockd --group g_san
p constraint order start g_locks-clone 'then' g_san
p constraint colocation add g_san with g_locks-clone

# 3. A shared one, as a clone.
p resource create "p_${shared}" "$agent" vgname="$vg" lvname="$shared" vg_access_mode=lvmlockd activation_mode=shared \
    clone interleave=true
p constraint order start g_locks-clone 'then' "p_${shared}-clone"
p constraint colocation add "p_${shared}-clone" with g_locks-clone

pcs cluster cib-push "$work/cib" "diff-against=$work/before"
