# shellcheck shell=bash disable=SC2154,SC2034 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: from nothing to a running cluster, and back to a sound one after each scenario.

active='' other='' # who is promoted, and who is not

build() {
    local node file since
    timeout 300 scripts/lab up node1 node2 || die 'no guests'
    [ "$contestant" = peer ] || timeout 60 scripts/lab install node1 node2
    for node in node1 node2; do
        for file in node writer; do scripts/lab put "$node" "$parts/$file" "/root/$file"; done
        scripts/lab put "$node" scripts/demo.d/fence_switch /root/fence_switch
        [ "$contestant" = peer ] || scripts/lab put "$node" packaging/drbd.d/ocf-san-84.res /etc/drbd.d/ocf-san-84.res
    done
    power_switch scripts/lab &
    if [ -n "$keep" ] && is_sound 2>/dev/null; then
        first=20000 # beyond what was written before
        return
    fi
    both "/root/node files && /root/node settings contestant=$contestant" || die 'no files'
    limit=120 both '/root/node first' || die 'no DRBD'
    on node1 /root/node equal || die 'no DRBD that is up to date'
    both drbdadm down r0
    limit=120 both 'sync; systemctl start corosync pacemaker' || die 'no cluster'
    wait_for 120 both_online || die 'no cluster of two'
    since=$SECONDS
    on node1 /root/node cib "$contestant" ${parameters[@]+"${parameters[@]}"} || die 'no resources'
    wait_for 180 is_sound || die 'nothing promoted'
    say "promoted on $active, $((SECONDS - since)) s after the cluster was told"
}
parameters=()
[ "$contestant" = peer ] || parameters=(degraded_codes=true frozen_io_grace=5)

both_online() { on node1 crm_mon -1 | grep -q 'Online:.* node1 node2 ' && on node2 crm_mon -1 | grep -q 'Online:.* node1 node2 '; }

# Promoted on one, unpromoted on the other, both disks up to date, no constraint. Sets $active and $other.
is_sound() {
    local now
    now=$(promoted_on node1)
    [[ $now == node[12] ]] || return 1
    active=$now
    [ "$active" = node1 ] && other=node2 || other=node1
    in_sync && on "$other" crm_mon -1 | grep -Eq "(Unpromoted|Slaves): .* $other " && no_constraint
}

# After a scenario: links, handlers and policies as at first, nothing held against anybody.
settle() {
    heal
    on node1 /root/node settings fencing=resource-and-stonith rate=40M ping=20 handlers=real
    on node2 /root/node settings fencing=resource-and-stonith rate=40M ping=20 handlers=real
    limit=60 both drbdadm adjust r0 || true
    limit=60 on node1 'crm_resource --cleanup' || true
    wait_for 120 is_sound || die "not sound again after $play"
}

is_fenced() { on "$active" crm_mon -1 | grep -q "OFFLINE:.* $1 "; } # NODE

# A node that was switched off is on again, and a member of the cluster.
return_of() { # NODE
    timeout 200 scripts/lab up "$1" && on "$1" /root/node below && limit=90 on "$1" systemctl start corosync pacemaker && wait_for 120 both_online
}

cut_link() { scripts/lab unplug "$active" repl; }
heal() { scripts/lab plug node1 repl; scripts/lab plug node2 repl; }

settings() { # NAME=VALUE...: on both nodes, at once in effect
    both "/root/node settings $* && drbdadm adjust r0"
}
