# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: the primary loses its power under load.

play_power_cut() {
    local since dead=$active
    start_writer "$active"
    wait_for 60 has_written 200
    scripts/lab cut "$dead"
    since=$SECONDS
    end_writer_of_the_dead
    expect both "promoted on $other" wait_for 150 has_taken_over "$other"
    answer both "promoted after $((SECONDS - since)) s"
    active=$other other=$dead
    expect both 'writes go on there' writes_begin "$active" && answer both "writes after $((SECONDS - since)) s"
    expect both "a constraint keeps $dead from being promoted" constraint
    end_writer "$active"
    expect both 'nothing acknowledged is lost' nothing_lost "$active"
    answer both "$(cut -d: -f1 "$work/verified")"
    since=$SECONDS
    return_of "$dead" || die "$dead does not come back"
    expect both "$dead is a sound second side again" wait_for 120 is_sound
    answer both "sound $((SECONDS - since)) s after it was switched on"
    expect both "$active is still promoted" [ "$active" != "$dead" ]
}

# Pacemaker calls an instance promoted while its promotion is under way.
has_taken_over() { is_promoted_on "$1" "$1" && is_role "$1" Primary; } # NODE

end_writer_of_the_dead() {
    # Its connection may take half a minute to notice.
    kill "${writers[@]}" 2>/dev/null || true
    wait "${writers[@]}" 2>/dev/null || true
    writers=()
    keep_written 1
}
