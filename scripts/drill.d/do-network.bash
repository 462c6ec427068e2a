# shellcheck shell=bash disable=SC2154 # set by scripts/drill
# Sourced by scripts/drill: ports, cables and lost frames.

do_corosync_port() { block_port "$victim" udp 5404 0xfffc; } # 5405, and 5407 on the second ring
check_corosync_port() { grep -q OFFLINE "$case_dir/cluster-during" || red 'corosync saw each other all the while'; }
check_corosync_port_standby() { check_corosync_port; }
undo_corosync_port() { open_ports "$victim"; }
do_drbd_port() { block_port "$victim" tcp 7788; }
check_drbd_port() { is_cut_off; }
check_drbd_port_standby() { is_cut_off; }
is_cut_off() { grep -qE 'Connecting|WFConnection|not connected' "$case_dir"/mirror-during-* || red 'the mirror was connected all the while'; }
undo_drbd_port() { open_ports "$victim"; }
do_iscsi_port() { block_port "$victim" tcp 3260; }
undo_iscsi_port() { open_ports "$victim"; }

do_cable() { lab unplug "$victim" lan; }
undo_cable() { lab plug "$victim" lan; }
check_cable() { grep -q 'carrier' "$case_dir/cluster-during" || red 'the cluster does not say that there is no carrier'; }
do_lan_off() { lab unplug node1 lan && lab unplug node2 lan; }
check_lan_off() { check_cable; }
undo_lan_off() { lab plug node1 lan && lab plug node2 lan && wait_for 200 serves; }
serves() { taken_over node1 || taken_over node2; }
do_interconnect() { lab unplug "$victim" repl; }
check_interconnect() { is_cut_off; }
undo_interconnect() { lab plug "$victim" repl; }
do_both_cables() { lab unplug "$victim"; }
undo_both_cables() { lab plug "$victim"; }

# The stand-by knows that it is the one that is cut off.
check_both_cables_standby() {
    on "$first_other" "tail -n +$(($(cat "$case_dir/log-from-$first_other") + 1)) /var/log/pacemaker/pacemaker.log | grep -ac 'neither a peer nor'" ||
        red 'DRBD-helper does not say that the stand-by is cut off'
}

check_one_way() { grep -q OFFLINE "$case_dir/cluster-during" || red 'the nodes saw each other all the while'; }
check_one_way_standby() { check_one_way; }
do_one_way() { lab drop "$victim" "$bystander" cut; }
undo_one_way() { lab drop heal; }
do_mute() { lab drop "$victim" ini lan cut; }
undo_mute() { lab drop heal; }
do_loss() { lab drop any any loss 20; }
undo_loss() { lab drop heal; }
