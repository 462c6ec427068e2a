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

# Waits in the guest for the action's processes, and kills them; leaves /run/killed when it did. A stop is over in half a second, so
# nothing is started for a look, and only processes that are younger are looked at.
kill_action() { # NODE ACTION
    on "$1" "rm -f /run/killed; setsid python3 -c 'if 1:
        import os, time
        def is_meant(pid):
            try:
                name, action = open(f\"/proc/{pid}/cmdline\").read().split(\"\\0\")[:2]
            except (OSError, ValueError):
                return False
            return name.endswith(\"san/LIO\") and action == \"$2\"
        end = time.time() + 120
        while time.time() < end:
            found = [int(pid) for pid in os.listdir(\"/proc\") if pid.isdigit() and int(pid) > os.getpid() and is_meant(pid)]
            for pid in found:
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass
            if found:
                open(\"/run/killed\", \"w\").close()
                break
            time.sleep(0.005)
        ' </dev/null >/dev/null 2>&1 &"
}
is_killed() { wait_for 120 on "$1" test -e /run/killed && wait_for 60 has_failed && sleep 5; } # NODE; and the cluster knows of it
do_start_killed() { kill_action "$other" start && move_group && is_killed "$first_other"; }
do_stop_killed() { kill_action "$active" stop && move_group && is_killed "$active" && clean_up; }
