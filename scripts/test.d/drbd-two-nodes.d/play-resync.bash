# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: the target of a resync loses its power in the middle of it.

play_resync() {
    settings fencing=dont-care rate=1M || die 'no slow resync'
    start_writer "$active"
    cut_link
    wait_for 40 drbd_is "$active" 'cs:WFConnection'
    end_writer "$active"
    # In the last 64 MB, where the writer does not come.
    limit=120 on "$active" 'dd if=/dev/urandom of=/dev/drbd0 bs=1M seek=190 count=60 oflag=direct conv=notrunc status=none'
    heal
    wait_for 60 drbd_is "$other" 'cs:SyncTarget .*ds:Inconsistent' || die 'no resync'
    expect ours 'a monitor of the target is degraded and says how far it is' answers "$other" monitor 190 '[0-9]+([.][0-9])? ?%|per cent'
    answer ours "$(reason)"
    expect peer 'a monitor of the target says nothing' answers "$other" monitor 0 ''
    scripts/lab cut "$other"
    expect both "$active stays promoted" is_promoted_on "$active"
    # A node that is back before its fencing is over is switched off once more.
    wait_for 120 is_fenced "$other" || die "$other is not fenced"
    return_of "$other" || die "$other does not come back"
    expect both 'the target comes back inconsistent, and the resync goes on' wait_for 90 drbd_is "$other" 'cs:SyncTarget ro:Secondary/Primary ds:Inconsistent'
    expect both "$active is still promoted" is_promoted_on "$active"
    expect ours 'a monitor of the target is degraded and says how far it is' answers "$other" monitor 190 '[0-9]+([.][0-9])? ?%|per cent'
    answer ours "then $(reason)"
    expect both 'the target has no score of a side that is up to date' wait_for 40 score_is_low "$other"
    answer both "score $(score_of "$other")"
    settings rate=80M || die 'no quick resync'
    expect both 'it comes to its end' wait_for 120 in_sync
    expect both 'nothing acknowledged is lost' nothing_lost "$active"
}

score_is_low() { # NODE
    local score
    score=$(score_of "$1")
    [ -z "$score" ] || [ "$score" -lt 1000 ]
}
