# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: a handler that does not come back, and a drbdadm that waits for it in the kernel with the lock that every
# request of drbdsetup needs, of all resources.

play_stuck() {
    settings fencing=resource-only handlers=sleep || die 'no sleeping handler'
    local since=$SECONDS usual
    by_hand "$active" monitor >/dev/null
    usual=$((SECONDS - since))
    start_writer "$active"
    cut_link
    wait_for 60 on "$active" test -e /run/handler.pid || die 'no handler was called'
    on "$active" 'setsid drbdadm adjust r0 </dev/null >/dev/null 2>&1 &'
    expect both 'drbdsetup is stuck' wait_for 30 is_stuck
    since=$SECONDS
    expect ours 'a monitor answers in time' answers_within 15 8
    answer ours "answered after $((SECONDS - since)) s, otherwise $usual s"
    expect peer 'a monitor does not answer' not answers_within $((usual * 2 + 10)) 8
    answer peer "no answer within $((usual * 2 + 10)) s, otherwise $usual s"
    expect ours "a monitor on $other answers" answers "$other" monitor 0 ''
    expect both "$active stays promoted" is_promoted_on "$active"
    expect both 'it was stuck all the time' is_stuck
    on "$active" /root/node wake
    expect both 'drbdsetup is free when the handler has ended' wait_for 30 not is_stuck
    heal
    expect both 'both disks are up to date' wait_for 60 in_sync
    expect ours 'Pacemaker has seen no failure' no_failure
    end_writer "$active"
    expect both 'nothing acknowledged is lost' nothing_lost "$active"
}

is_stuck() { not on "$active" timeout -s KILL 6 drbdsetup status >/dev/null; }
answers_within() { limit=$1 by_hand "$active" monitor >"$work/said" && cat "$work/said" && grep -qx "code $2" "$work/said"; } # SECONDS CODE
no_failure() { not grep -q 'fail-count' <(on "$active" cibadmin -Q --scope status; on "$active" crm_mon -1f); }
