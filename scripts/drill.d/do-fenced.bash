# shellcheck shell=bash disable=SC2154 # set by scripts/drill
# Sourced by scripts/drill: what is different where nodes can be switched off. Otherwise a case of this group is what the one without -fenced is.

is_switched_off() { # NODE
    local said
    said=$(tail -n "+$((switched_before + 1))" "$work/switch")
    [[ $said == *"has $1 switched off"* ]]
}
check_power_cut_fenced() { is_switched_off "$first_active" || red "$first_active was not switched off"; }
check_freeze_fenced() { check_power_cut_fenced; }
check_freeze_standby_fenced() { is_switched_off "$first_other" || red "$first_other was not switched off"; }
check_corosync_killed_fenced() { check_power_cut_fenced; }
check_corosync_port_fenced() { check_power_cut_fenced; }
check_one_way_fenced() { is_switched_off "$first_active" || is_switched_off "$first_other" || red 'no node was switched off'; }
check_one_way_standby_fenced() { check_one_way_fenced; }
check_both_cables_standby_fenced() { check_freeze_standby_fenced; }
check_stop_killed_fenced() { check_power_cut_fenced; }

# A node that was switched off can not be thawed, nor have its ports opened or its cables plugged in.
undo_freeze_fenced() { ! is_on "$victim" || undo_freeze; }
undo_freeze_standby_fenced() { undo_freeze_fenced; }
undo_both_cables_standby_fenced() { ! is_on "$victim" || undo_both_cables; }
undo_corosync_port_fenced() { ! is_on "$victim" || undo_corosync_port; }

do_stop_killed_fenced() { kill_action "$active" stop && move_group; }
