# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # set by who sources it; what guests expand
# Sourced by scripts/drill: from whatever a case left to a sound cluster. By scripts/soak and scripts/no-false-failover for what is sound.

# Generous with what may take long, because no case is to fail for an emulated processor; but bounded.
settle() { # NAME
    local node off=()
    lab drop heal
    for node in node1 node2; do is_on "$node" || off+=("$node"); done
    # Not beside the rest: nothing may start a guest after the end.
    [ "${#off[@]}" = 0 ] || limit=240 lab up "${off[@]}" || return 1
    together 'ready_again node1' 'ready_again node2' || return 1
    together 'rejoin_if_away node1' 'rejoin_if_away node2' || return 1
    wait_for 180 both_see_both || return 1
    join_halves "$1" || return 1
    take_constraints_away
    wait_for 240 find_active && wait_for 240 in_sync "$active" || return 1
    ! has_failed || clean_up
    # What has failed since, or was still under way: a promotion that is refused takes its whole time-out.
    stays_sound || { clean_up; stays_sound; } || { clean_up; stays_sound; }
}
ready_again() { # NODE
    lab plug "$1"
    bounded 200 "$here/lab" wait "$1" --timeout 180 || return 1
    on "$1" 'for nic in lan repl; do tc qdisc del dev $nic clsact 2>/dev/null; done; true'
}
stays_sound() { wait_for 120 is_sound && sleep 6 && is_sound; } # a monitor later still
has_failed() {
    local state
    ! state=$(on "$active" crm_mon -1f) || [[ $state == *'Failed Resource Actions'* || $state == *fail-count=* ]]
}
# In maintenance mode: for as long as what is forgotten is being looked for, Pacemaker (2.1.5) takes a promoted instance for stopped, and
# restarts what depends on it. And all of it: for a resource that is not managed "not running" is no failure, and --cleanup leaves it.
clean_up() {
    limit=240 on "$active" 'crm_attribute -n maintenance-mode -v true && crm_resource --refresh && timeout 120 crm_resource --wait
        crm_attribute -n maintenance-mode -D'
}
is_on() { # NODE
    local said
    said=$(lab status) && grep -Eq "^ *$1 .*(running|frozen)" <<<"$said"
}
# A pacemakerd that has lost corosync is active for minutes, waiting for its children. What it has started goes on without it.
rejoin_if_away() {
    on "$1" 'systemctl is-active --quiet corosync && systemctl is-active --quiet pacemaker' && return
    on "$1" 'systemctl kill --signal=KILL pacemaker; sleep 1; systemctl reset-failed corosync pacemaker; true'
    note "the cluster manager of $1 was started by the drill"
    start_cluster_on "$1"
}
both_see_both() { together 'sees_both node1' 'sees_both node2'; }
sees_both() { says_on "$1" 'Online:.* node1 node2 ' crm_mon -1; } # NODE

# Not a pipe into `grep -q`, which ends the command at the first match, and with pipefail that is a failure.
says_on() { # NODE PATTERN COMMAND...
    local said
    said=$(on "$1" "${@:3}" 2>/dev/null) && grep -Eq "$2" <<<"$said"
}

# After a split brain somebody has to choose, and the one to choose is the one that the initiator has been writing to.
join_halves() { # NAME
    local loser ran
    sleep 3
    is_apart || return 0
    has_word "$1" splits || red 'DRBD came out of it with a split brain'
    note 'split brain: the operator chose the side with the group'
    # Where it ran last, when it runs nowhere until somebody has chosen: only that side has what the initiator was told is written.
    if ! wait_for 60 find_active; then
        active=$first_active other=$first_other
        ran=$(starts)
        ! grep -qx "$first_other" <<<"$ran" || { active=$first_other other=$first_active; }
    fi
    loser=$other
    # Where it has failed too often Pacemaker has stopped it for good.
    is_up "$loser" || { clean_up && wait_for 60 is_up "$loser"; } || return 1
    on "$loser" drbdadm secondary r0
    # As docs/drbd-split-brain.md has it: the victim waits for the other one. Its disk is no logical volume that had snapshots.
    together "limit=250 on $loser ocf-san drbd recover r0 --victim $loser --yes --no-snapshot --timeout 240" \
        "sleep 5; limit=250 on $active ocf-san drbd recover r0 --victim $loser --yes --no-snapshot --timeout 240" || return 1
    wait_for 60 comes_together
}
# For longer than a start takes, which begins with that.
is_apart() { stands_alone && sleep 12 && stands_alone; }
stands_alone() { ! together '! is_alone node1' '! is_alone node2'; }
is_alone() { on "$1" grep -q 'cs:StandAlone' /proc/drbd; } # NODE
is_up() { says_on "$1" ' 0: cs:([^U]|Unconnected)' cat /proc/drbd; } # NODE
comes_together() { ! stands_alone && on "$active" grep -Eq 'cs:(Connected|Sync|PausedSync)' /proc/drbd; }

# Those of a move; DRBD-helper's own goes by itself when the peer is up to date again, which is looked at.
take_constraints_away() {
    local state
    if state=$(on node1 cibadmin -Q --scope configuration) && ! grep -Eq '"cli-|name="(standby|maintenance-mode)"' <<<"$state"; then return; fi
    on node1 'crm_resource --clear --resource g_tgt; for node in node1 node2; do crm_standby -N $node -D; done; crm_attribute -n maintenance-mode -D; true'
}

# And no action has failed.
is_sound() { is_joined && could_change_sides && [[ $cluster != *'Failed Resource Actions'* && $cluster != *standby* ]]; }

fencing_of() { ! has_word "$1" fenced || echo switch; } # NAME
# What FENCING says is read where the cluster is built.
fence_as() { # NAME
    FENCING=$(fencing_of "$1")
    export FENCING
    [ -z "$switching" ] || kill "$switching" 2>/dev/null
    switching=''
    [ -z "$FENCING" ] || { power_switch "$here/lab" >>"$work/switch" & switching=$!; }
}
switching='' # the process of the power switch

# A cluster that a case left unsound is thrown away with its disks, and so is what the writer knew of it, which was read back in the case.
rebuild() { # NAME WHY
    log=$work/log
    echo "$me: $2: a new one"
    writer end >/dev/null
    lab down
    fence_as "$1"
    step 'starting node1, node2 and the initiator' bounded 240 "$here/lab" up node1 node2 ini
    build_cluster
    start_writing
}
