# shellcheck shell=bash disable=SC2154 # set by scripts/drill
# Sourced by scripts/drill: what people do, by mistake or at the wrong moment.

do_standby_other() { on "$active" crm_standby -N "$other" -v on; }
undo_standby_other() { on "$active" crm_standby -N "$first_other" -D; }
do_standby_active() { on "$active" crm_standby -N "$active" -v on; }
undo_standby_active() { on "$first_other" crm_standby -N "$first_active" -D; }

do_cleanup_at_start() {
    move_group || return 1
    limit=180 on "$other" 'for i in 1 2 3 4 5 6 7 8; do crm_resource --cleanup --resource g_tgt || exit; sleep 1; done'
}

do_config_differs() {
    on "$other" 'cp -p /etc/target/saveconfig.json /root/saveconfig.whole && truncate -s 600 /etc/target/saveconfig.json' && move_group || return 1
    wait_for 200 says_on "$active" 'p_lio start on .*saveconfig.json' crm_mon -1
}
undo_config_differs() { on "$first_other" cp -p /root/saveconfig.whole /etc/target/saveconfig.json; }
check_config_differs() {
    grep -q 'saveconfig.json' "$case_dir/cluster-during" || red 'the cluster does not name the file'
    [ "$now" = "$first_active" ] || red "the group runs on $now"
}

do_resize() { on "$other" drbdadm invalidate r0 && sleep 1 && on "$active" lvextend -q -L +32M vg1/lv-lun3; }
