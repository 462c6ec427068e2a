# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: I/O that stands still because nobody confirms that the other side is outdated.

play_frozen() {
    settings fencing=resource-and-stonith handlers=fail || die 'no failing handler'
    start_writer "$active"
    wait_for 30 has_written 50
    cut_link
    expect both 'I/O is suspended' wait_for 40 drbd_is "$active" ' s-----'
    expect both 'writes stand still' stands_still
    sleep 5
    expect ours 'a monitor by hand says it' answers "$active" monitor 191 'fenc|suspended|frozen'
    answer ours "191: $(reason)"
    expect ours 'Pacemaker says it' wait_for 40 seen_by_pacemaker "$active" 191 'fenc|suspended|frozen'
    expect peer 'a monitor by hand is well' answers "$active" monitor 8 ''
    expect peer 'no word to Pacemaker' not seen_by_pacemaker "$active" '[0-9]*' '[^"]'
    answer peer '8, without a word'
    expect both "$active stays promoted" is_promoted_on "$active"
    heal
    expect both 'writes go on when the link is back' goes_on
    expect both 'both disks are up to date' wait_for 60 in_sync
    expect ours 'a monitor is well again' wait_for 20 answers "$active" monitor 8 ''
    end_writer "$active"
    expect both 'nothing acknowledged is lost' nothing_lost "$active"
}
