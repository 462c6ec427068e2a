# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: the operator moves the promoted role.

# Moves it, writes there, and says how long it took.
move_over() { # SENTENCE
    local since=$SECONDS from=$active
    limit=60 on "$other" crm_resource --move --promoted --resource p_drbd-clone --node "$other" >/dev/null 2>&1
    expect both "$1: promoted on $other" wait_for 120 is_promoted_on "$other"
    answer both "$1 $((SECONDS - since)) s"
    active=$other other=$from
    expect both "$1: $from is unpromoted, with its disk up to date" wait_for 60 in_sync
    on "$active" crm_resource --clear --resource p_drbd-clone >/dev/null 2>&1
    expect both "$1: what was acknowledged is there" nothing_lost "$active"
}

play_switch_over() {
    start_writer "$active"
    wait_for 30 has_written 100
    # The device is held open, which a demote has to name.
    expect ours 'a demote of a device in use fails and says who has it' answers "$active" demote 1 'held open: open in process [0-9]+ .python3' OCF_RESKEY_CRM_meta_timeout=8000
    expect both 'and writes go on' goes_on
    end_writer "$active"
    move_over 'move'
    expect ours 'a promote without notifications' answers "$active" promote 0 '' OCF_RESKEY_CRM_meta_notify=false
    expect peer 'a promote without notifications is refused' answers "$active" promote 6 'notify' OCF_RESKEY_CRM_meta_notify=false
    if [ "$contestant" = ours ]; then
        on "$active" crm_resource --resource p_drbd-clone --meta --set-parameter notify --parameter-value false >/dev/null
        move_over 'back, without notifications'
        on "$active" crm_resource --resource p_drbd-clone --meta --set-parameter notify --parameter-value true >/dev/null
    fi
}
