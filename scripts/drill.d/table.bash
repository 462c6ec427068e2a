# shellcheck shell=bash disable=SC2034,SC2154 # read by the other parts
# Sourced by scripts/drill: the one table of cases.
#
# case_is NAME GROUP OUTCOME 'what it does' 'what must happen' [WORD…]
# NAME-standby is done to the node without the group, any other to the one with it. do_NAME (the whole name, or without -fenced and -standby)
# does it and undo_NAME, where there is one, takes it back. OUTCOME is where the group must run:
#   moves   on the other node, within 240 s and before anything is taken back
#   stays   where it was, and was never started anew
#   here    where it was, perhaps started anew
#   either  on one of the two, after it was taken back
# WORDs: core; gap=SECONDS, the longest without a completed write (240; an initiator's queue holds 300); hold=SECONDS, how long it lasts
# (25); splits: DRBD's sides may be apart afterwards, and the operator chooses the one with the group; twice: the address may be seen on
# two nodes for a while; loses: acknowledged writes may be lost; fenced: nodes can be switched off; a sentence with a blank in it is why this
# cannot be survived, or not without the operator.

names=()
declare -A group_of outcome_of does must words_of why_not

case_is() {
    local name=$1 word
    names+=("$name")
    group_of[$name]=$2 outcome_of[$name]=$3 does[$name]=$4 must[$name]=$5
    words_of[$name]=' '
    shift 5
    for word; do
        if [[ $word == *' '* ]]; then why_not[$name]=$word; else words_of[$name]+="$word "; fi
    done
}
has_word() { [[ ${words_of[$1]} == *" $2 "* ]]; } # NAME WORD
number_of() { # NAME WORD DEFAULT
    local found=${words_of[$1]#* "$2="}
    if [ "$found" = "${words_of[$1]}" ]; then echo "$3"; else echo "${found%% *}"; fi
}
cases_called() { # NAME|GROUP|core|all
    local name
    for name in "${names[@]}"; do
        if [ "$1" = all ] || [ "$1" = "$name" ] || [ "$1" = "${group_of[$name]}" ] || { [ "$1" = core ] && has_word "$name" core; }; then
            echo "$name"
        fi
    done
}
# A row that nothing does is an error.
list_cases() {
    local name action result=0
    for name in "${names[@]}"; do
        printf '%-26s %-9s %-5s %s\n%44s %s\n' "$name" "${group_of[$name]}" "$(has_word "$name" core && echo core)" "${does[$name]}" '→' "${must[$name]}"
        [ -z "${why_not[$name]-}" ] || printf '%44s %s\n' '!' "${why_not[$name]}"
        action=${name%-fenced}
        action=${action%-standby}
        declare -F "do_${name//-/_}" >/dev/null || declare -F "do_${action//-/_}" >/dev/null || { echo "$me: nothing does $name" >&2; result=1; }
    done
    return "$result"
}

# Rows that have both directions.
both_ways() { # NAME GROUP OUTCOME-ACTIVE 'does' 'must, active' 'must, standby' [WORD…]
    case_is "$1" "$2" "$3" "$4, on the active node" "$5" "${@:7}"
    case_is "$1-standby" "$2" stays "$4, on the stand-by" "$6" gap=40
}

stand='the group stays where it is'
again='put right on the same node'
no_ping='the cluster does not look at the LAN beyond the carrier: writes wait until it is healed'
both_serve='the other node takes over beside the first one; the operator chooses a side'
two_sides='without fencing a node that is not heard can not be told from one that is dead: both serve, and what one side has acknowledged is lost'
no_fencing='without fencing a failed stop waits for the operator, whose cleanup is part of the case'

case_is planned operator moves 'the group is moved to the other node' 'it runs there' core gap=120
both_ways shutdown node moves 'clean power off' 'the group is moved before it goes' "$stand"
case_is panic node moves 'kernel panic (sysrq c) on the active node' 'the other node takes over' core
case_is panic-standby node stays 'kernel panic (sysrq c) on the stand-by' "$stand" gap=40
case_is power-cut node moves 'power cut of the active node' 'the other node takes over' core
case_is power-cut-standby node stays 'power cut of the stand-by, while the volumes are read (cLVM, level 10)' "$stand" gap=40
case_is freeze node moves 'processors stand still, then go on, on the active node' 'the other node takes over, and the thawed one gives way' \
    splits twice
case_is freeze-standby node stays 'processors stand still, then go on, on the stand-by' "$stand" gap=40
case_is both-cut node either 'power cut of both nodes at once, then both boot' 'the group runs again, nothing is lost' gap=290 \
    'no node is left to serve: writes wait for the boot'
case_is split-brain node stays 'replication cut, the stand-by promoted by hand and written to, healed' \
    'DRBD does not join the two; the group stays, the operator throws the other side away' core splits gap=60

both_ways corosync-killed process either 'corosync killed (SIGKILL)' 'the group runs on one node, and nowhere twice' "$stand"
words_of[corosync-killed]+='core '
both_ways pacemakerd-killed process here 'pacemakerd killed (SIGKILL)' 'systemd starts it again' "$stand"
for daemon in based controld execd attrd schedulerd fenced; do
    case_is "$daemon-killed" process either "pacemaker-$daemon killed (SIGKILL) on the active node" 'the group runs on one node, and nowhere twice'
done
case_is drbd-down process stays 'drbdadm down by hand on the active node' 'the kernel refuses, the group stays'
case_is drbd-down-standby process stays 'drbdadm down by hand on the stand-by' 'DRBD-helper brings it up again' gap=40
case_is lvs-off process stays 'vgchange -an by hand below the target' 'the kernel refuses, the group stays'
case_is tpg-off process here 'the TPG disabled by hand' "the monitor sees it; $again" hold=60
case_is target-removed process here 'the target removed by targetcli' "the monitor sees it; $again" hold=60
case_is vip-deleted process here 'the virtual IP deleted by hand' "the monitor sees it; $again" hold=60
case_is agent-gone process stays 'the agent binary removed on the active node' 'the target goes on serving' hold=40 \
    'nobody can start or stop anything there until it is back'
case_is start-killed process either 'the agent killed in the middle of the start of LIO' 'the group runs on one node in the end'
case_is stop-killed process either 'the agent killed in the middle of the stop of LIO' 'the group runs on one node after a cleanup' "$no_fencing"

both_ways corosync-port port stays 'the port of corosync blocked on both rings' \
    'DRBD refuses a second primary, the group stays' "$stand"
both_ways drbd-port port stays 'the port of DRBD blocked' 'the group stays, a resync follows' "$stand"
case_is iscsi-port port stays 'the port of iSCSI blocked on the active node' 'writes go on when it is open again' "$no_ping" gap=120

case_is cable network moves "the active node's cable of the storage LAN pulled" 'VIP sees it, the other node takes over' core
case_is cable-standby network stays "the stand-by's cable of the storage LAN pulled" "$stand" gap=40
case_is lan-off network either 'no node has a carrier of the storage LAN (its switch is away)' \
    'it serves again once there is one, and nobody cleans up' hold=60
case_is interconnect network stays 'the replication LAN cut' 'the group stays, a resync follows' gap=40
case_is both-cables network moves 'both cables of the active node pulled' 'the other node takes over' splits
case_is both-cables-standby network stays 'both cables of the stand-by pulled' "$stand" hold=45 gap=40
case_is one-way network either 'what the active node sends to the stand-by is lost, on both LANs' "$both_serve" hold=45 splits twice loses "$two_sides"
case_is one-way-standby network either 'what the stand-by sends to the active node is lost, on both LANs' "$both_serve" hold=45 splits twice loses "$two_sides"
case_is mute network stays 'what the active node sends to the initiator is lost' 'writes go on when it is healed' "$no_ping" gap=120
case_is loss network either '20 % of all frames lost, for 40 s' 'the group runs on one node, and nowhere twice' hold=40

case_is disk-errors storage either 'the disk below DRBD answers with errors on the active node' 'DRBD reads and writes through the peer'
case_is disk-errors-standby storage stays 'the disk below DRBD answers with errors on the stand-by' "$stand" gap=40
case_is hung-disk storage moves 'an LV below the target hangs, the group is moved' 'the stop that hangs ends in sysrq, the other node takes over' core
case_is hung-below storage moves 'the disk below DRBD hangs on the active node, the group is moved' 'the node is rebooted, the other takes over'
case_is hung-read storage moves 'the disk below DRBD hangs on the active node, whose volumes a monitor reads (cLVM, level 10)' 'the monitor fails, the stop that hangs ends in sysrq, the other node takes over'
case_is hung-below-standby storage stays 'the disk below DRBD hangs on the stand-by' 'DRBD lets the peer go (ko-count), the group stays' hold=60 gap=90
case_is vg-full storage moves 'the volume group filled to the last extent, the group is moved' 'it runs there'
both_ways root-hung storage either 'the root disk hangs' 'the group runs on one node, and nowhere twice' "$stand"

case_is standby-other operator stays 'the stand-by is put in standby' "$stand" gap=40
case_is standby-active operator moves 'the active node is put in standby' 'the group is moved' gap=120
case_is cleanup-at-start operator either 'crm_resource --cleanup again and again while the group starts on the other node' 'it runs on one node'
case_is config-differs operator either 'saveconfig.json cut off on the other node, the group moved there' 'the start is refused with a reason, the group runs where it was'
case_is resize operator stays 'an LV extended while DRBD resyncs' "$stand" gap=60

off='it is switched off, the other node takes over'
other_off='the stand-by is switched off, the group stays'
case_is power-cut-fenced fenced moves 'power cut of the active node' "$off" fenced
case_is freeze-fenced fenced moves 'processors stand still, then go on, on the active node' "$off" fenced
case_is freeze-standby-fenced fenced stays 'processors stand still, then go on, on the stand-by' "$other_off" fenced hold=45 gap=120
case_is corosync-killed-fenced fenced moves 'corosync killed (SIGKILL) on the active node' "$off" fenced
# A corosync that can not send does not get as far as fencing.
case_is corosync-port-fenced fenced moves 'the port of corosync blocked on both rings, on the active node' "$off" fenced
case_is one-way-fenced fenced either 'what the active node sends to the stand-by is lost, on both LANs' 'one of the two is switched off' fenced hold=60
case_is one-way-standby-fenced fenced either 'what the stand-by sends to the active node is lost, on both LANs' 'one of the two is switched off' fenced hold=60
case_is both-cables-standby-fenced fenced stays 'both cables of the stand-by pulled' "$other_off" fenced hold=45 gap=120
case_is stop-killed-fenced fenced moves 'the agent killed in the middle of the stop of LIO' "$off" fenced
