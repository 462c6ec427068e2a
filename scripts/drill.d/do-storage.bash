# shellcheck shell=bash disable=SC2154,SC2016 # set by scripts/drill; what guests expand
# Sourced by scripts/drill: disks that answer with errors, or not at all.

below_is() { # NODE error|linear
    local rest=''
    [ "$2" = error ] || rest=' /dev/vdb 0'
    on "$1" "dmsetup suspend --noflush --nolockfs below && dmsetup load below --table \"0 \$(blockdev --getsz /dev/vdb) $2$rest\"
        code=\$?; dmsetup resume below && exit \$code"
}
do_disk_errors() { below_is "$victim" error; }
undo_disk_errors() { below_is "$victim" linear && on "$victim" 'grep -q ds:Diskless /proc/drbd && drbdadm attach r0; true'; }
check_disk_errors() { grep -q Diskless "$case_dir/mirror-during-$first_active" || red 'ocf-san drbd status does not say that the disk is gone'; }
check_disk_errors_standby() { grep -q Diskless "$case_dir/mirror-during-$first_other" || red 'ocf-san drbd status does not say that the disk is gone'; }

do_hung_disk() { console_before=$(lab console "$active" | wc -c) && hang; }
undo_hung_disk() { back_from_boot "$victim"; }
check_hung_disk() {
    lab console "$first_active" | tail -c "+$((console_before + 1))" >"$work/console"
    grep -q 'stop is stuck, pressing sysrq' "$work/console" || red 'the agent does not say on the console that it pressed the keys'
}

suspend_below() { on "$1" dmsetup suspend --noflush --nolockfs below; }
do_hung_below() {
    suspend_below "$victim" || return 1
    [ "$victim" = "$other" ] || { sleep 3 && move_group; }
}
undo_hung_below() {
    if [ "$victim" = "$first_active" ]; then back_from_boot "$victim"; else on "$victim" dmsetup resume below; fi
}

do_vg_full() { on "$active" 'lvcreate -q -y -Wn -Zn -l 100%FREE -n lv-fill vg1' && move_group; }
undo_vg_full() { on "$first_other" 'lvremove -q -f vg1/lv-fill'; }

# The volumes are read, as the examples have it, but more often. Not by pcs, which takes an emulated processor minutes at times.
read_volumes() { # NODE SECONDS
    local level='<instance_attributes id="p_lvm-read-params"><nvpair id="p_lvm-read-level" name="OCF_CHECK_LEVEL" value="10"/></instance_attributes>'
    local op="<op id=\"p_lvm-read\" name=\"monitor\" interval=\"$2s\" timeout=\"20s\">$level</op>"
    on "$1" "cibadmin --query --scope resources | sed 's|<op [^>]*id=\"p_lvm-monitor[^>]*/>|&$op|' >/root/resources.xml &&
        cibadmin --replace --scope resources --xml-file /root/resources.xml" && wait_for 90 are_read "$1" "$2"
}
are_read() { on "$1" "cibadmin --query --scope status | grep p_lvm_monitor_${2}000 | grep -q 'rc-code=\"0\"'"; } # NODE SECONDS
read_no_more() { on "$1" cibadmin --delete --xml-text '<op id="p_lvm-read"/>'; } # NODE

do_hung_read() {
    console_before=$(lab console "$active" | wc -c)
    read_volumes "$other" 20 && suspend_below "$active"
}
undo_hung_read() { back_from_boot "$victim" && read_no_more "$other"; }
check_hung_read() { check_hung_disk; }

do_root_hung() { lab stall "$victim" root; }
undo_root_hung() { ! is_on "$victim" || lab unstall "$victim" root; }
