# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: a promotion waits for a handler that does not come back, with the resource's lock; a drbdadm waits for that
# lock, with the one that every request of drbdsetup needs, of all resources. It is an option of `net` that is adjusted: for one of `disk`,
# drbdsetup would first wait for the minor's lock file, and in the kernel for nothing.

play_stuck() {
    settings fencing=resource-only || die 'no fencing resource-only'
    local since=$SECONDS usual
    by_hand "$other" monitor >/dev/null
    usual=$((SECONDS - since))
    start_writer "$active"
    on "$other" '/root/node settings handlers=sleep; rm -f /run/handler.pid'
    cut_link
    wait_for 60 constraint || die 'no constraint'
    wait_for 30 drbd_is "$other" 'cs:WFConnection' || die 'the link is not cut'
    on "$other" 'setsid drbdadm primary r0 </dev/null >/dev/null 2>&1 &'
    wait_for 30 on "$other" test -e /run/handler.pid || die 'no handler was called'
    on "$other" '/root/node settings ping=19; setsid drbdadm adjust r0 </dev/null >/dev/null 2>&1 &'
    expect both 'drbdsetup is stuck' wait_for 30 is_stuck
    since=$SECONDS
    expect ours 'a monitor answers in time' answers_within 15
    answer ours "answered after $((SECONDS - since)) s, otherwise $usual s"
    expect peer 'a monitor does not answer' not answers_within $((usual * 2 + 10))
    answer peer "no answer within $((usual * 2 + 10)) s, otherwise $usual s"
    expect both "writes go on on $active" goes_on
    expect both 'it was stuck all the time' is_stuck
    on "$other" '/root/node settings handlers=fail; /root/node wake'
    expect both 'drbdsetup is free when the handler has ended' wait_for 30 not is_stuck
    expect both 'and the promotion was refused' is_role "$other" Secondary
    on "$other" /root/node settings handlers=real # of which one takes the constraint away after the resync
    heal
    expect both 'both disks are up to date' wait_for 60 in_sync
    expect ours 'Pacemaker has seen no failure' no_failure
    end_writer "$active"
    expect both 'nothing acknowledged is lost' nothing_lost "$active"
}

is_stuck() { not on "$other" timeout -s KILL 8 drbdsetup status >/dev/null; }
answers_within() { # SECONDS
    limit=$1 by_hand "$other" monitor >"$work/said" || return 1
    cat "$work/said"
    grep -Eqx 'code (0|190)' "$work/said"
}
no_failure() { not grep -q 'fail-count' <(on "$active" cibadmin -Q --scope status; on "$active" crm_mon -1f); }
