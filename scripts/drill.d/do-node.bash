# shellcheck shell=bash disable=SC2154 # set by scripts/drill
# Sourced by scripts/drill: what happens to whole nodes. $victim is the node it happens to, $bystander the other one.

do_planned() { move_group; }
do_shutdown() { reboots_by "$victim" 'systemctl poweroff --no-block'; }
undo_shutdown() { wait_for 150 is_off "$victim"; }
is_off() { ! is_on "$1"; } # NODE
do_panic() { reboots_by "$victim" 'echo c >/proc/sysrq-trigger'; }
undo_panic() { back_from_boot "$victim"; }
do_power_cut() { lab cut "$victim"; }
# Nothing may fail that waits until DRBD lets writes go on.
do_power_cut_standby() { read_volumes "$active" 6 && lab cut "$victim"; }
undo_power_cut_standby() { read_no_more "$active"; }
do_freeze() { lab freeze "$victim"; }
# It reboots itself if a stop hangs on I/O that waits for fence-peer; otherwise it is demoted.
undo_freeze() { lab thaw "$victim" && wait_for 150 gave_way; }
gave_way() {
    local said
    said=$(on "$victim" 'echo answers; cat /proc/drbd 2>/dev/null; true') && [[ $said == answers* && $said != *ro:Primary* ]]
}
do_both_cut() {
    lab cut "$active"
    lab cut "$other"
    limit=240 lab up node1 node2 && together 'start_cluster_on node1' 'start_cluster_on node2'
}

# By hand, past the cluster and past fencing: what it takes to make two histories.
do_split_brain() {
    on "$other" 'sed -i "s/disk { on-io-error/disk { fencing dont-care; on-io-error/" /etc/drbd.d/r0.res && drbdadm adjust r0' || return 1
    on "$active" crm_attribute -n maintenance-mode -v true || return 1
    lab unplug "$other" repl
    wait_for 40 alone || return 1
    on "$other" 'drbdadm primary r0 && dd if=/dev/urandom of=/dev/drbd0 bs=4k count=1 seek=500000 oflag=direct conv=notrunc && drbdadm secondary r0' ||
        return 1
    sleep 2
    lab plug "$other" repl
    on "$active" crm_attribute -n maintenance-mode -D
    wait_for 40 is_apart || { red 'DRBD joined two histories'; return 1; }
}
alone() { on "$other" grep -q 'cs:WFConnection' /proc/drbd; }
undo_split_brain() { on "$first_other" 'sed -i "s/fencing dont-care; //" /etc/drbd.d/r0.res && drbdadm adjust r0; true'; }
check_split_brain() { grep -q StandAlone "$case_dir"/mirror-during-* || red 'ocf-san drbd status does not say that the two are apart'; }
