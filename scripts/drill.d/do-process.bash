# shellcheck shell=bash disable=SC2154,SC2016 # set by scripts/drill; what guests expand
# Sourced by scripts/drill: processes that die, and what people do behind the cluster's back.

do_corosync_killed() { kill_hard "$victim" corosync; }
check_pacemakerd_killed() { ! grep -q 'was started by the drill' "$case_dir/notes" || red 'systemd did not start it again'; }
check_pacemakerd_killed_standby() { check_pacemakerd_killed; }
do_pacemakerd_killed() { kill_hard "$victim" pacemakerd; }
do_based_killed() { kill_hard "$victim" pacemaker-based; }
do_controld_killed() { kill_hard "$victim" pacemaker-contr; }
do_execd_killed() { kill_hard "$victim" pacemaker-execd; }
do_attrd_killed() { kill_hard "$victim" pacemaker-attrd; }
do_schedulerd_killed() { kill_hard "$victim" pacemaker-sched; }
do_fenced_killed() { kill_hard "$victim" pacemaker-fence; }

# On the active node the kernel must refuse.
do_drbd_down() {
    if [ "$victim" = "$active" ]; then is_refused "$victim" drbdadm down r0; else on "$victim" drbdadm down r0; fi
}
do_lvs_off() { is_refused "$victim" vgchange -an vg1; }
is_refused() { # NODE COMMAND...
    local code=0
    on "$@" || code=$?
    [ "$code" != 0 ] && [ "$code" -lt 124 ] # by the command itself, and not because the guest does not answer
}

tpg='/sys/kernel/config/target/iscsi/iqn.2026-01.org.example:demo/tpgt_1'
do_tpg_off() { on "$victim" "echo 0 >$tpg/enable"; }
do_target_removed() { limit=120 on "$victim" 'targetcli /iscsi delete iqn.2026-01.org.example:demo'; }
do_vip_deleted() { on "$victim" ip address del 10.110.88.59/26 dev lan; }

do_agent_gone() { on "$victim" mv /usr/sbin/ocf-san /usr/sbin/ocf-san.gone; }
undo_agent_gone() { on "$victim" mv /usr/sbin/ocf-san.gone /usr/sbin/ocf-san && clean_up; }
check_agent_gone() { grep -qiE 'not installed|not found|no such' "$case_dir/cluster-during" || red 'the cluster does not say that the agent is gone'; }

# Waits in the guest for the first process of the action, and kills it and its worker; says whether it did.
kill_action() { # NODE ACTION
    on "$1" "setsid bash -c 'rm -f /run/killed; for i in {1..4000}; do
        found=\$(pgrep -f \"[s]an/LIO $2\") && kill -KILL \$found && touch /run/killed && break; sleep 0.02; done' </dev/null >/dev/null 2>&1 &"
}
do_start_killed() { kill_action "$other" start && move_group && sleep 45 && on "$first_other" test -e /run/killed; }
do_stop_killed() {
    kill_action "$active" stop && move_group && sleep 45 && on "$active" test -e /run/killed || return 1
    clean_up
}
