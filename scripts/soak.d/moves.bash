# shellcheck shell=bash disable=SC2154,SC2034 # set by scripts/soak
# Sourced by scripts/soak: one switch-over after the other, what the initiator noticed of each, and what is counted on the nodes.

fail() { echo "$1" >>"$seen/failures"; } # SENTENCE: why the run is not green

put_count() { lab put node1 "$here/soak.d/count" /root/count && lab put node2 "$here/soak.d/count" /root/count; }

# At the same roles each time, so after an even number of switch-overs; the first time when both nodes have had both.
count_on() { limit=150 on "$2" /root/count >"$seen/count-$(printf %04d "$1")-$2-$3"; } # SWITCH-OVERS NODE ROLE
count_both() { # SWITCH-OVERS
    counted_at=$1
    together "count_on $1 $active active" "count_on $1 $other passive" >>"$log" 2>&1 || fail "a node could not be counted after $1 switch-overs"
    say "$("$here/soak.d/judge.py" progress "$seen")"
}
counted_at=''

# The group goes to the other node, the constraint goes away, and the cluster is sound again: only then is the initiator asked, so that what
# it notices late is noticed. What did not come about is said, and ends the run.
move_once() { # NUMBER
    local from=$active to=$other begun=$SECONDS taken why='' report verified
    writer mark >/dev/null || why='the writer does not answer'
    move_group >>"$log" 2>&1 || why+="${why:+; }crm_resource --move failed"
    wait_for 240 taken_over "$to" >>"$log" 2>&1 || why+="${why:+; }the group did not run on $to, with writes going on, within 240 s"
    taken=$((SECONDS - begun))
    on "$to" crm_resource --clear --resource g_tgt >>"$log" 2>&1 || why+="${why:+; }crm_resource --clear failed"
    if ! wait_for 240 is_sound >>"$log" 2>&1; then
        fail "after switch-over $1 something had failed"
        clean_up >>"$log" 2>&1
    fi
    wait_for 240 is_sound >>"$log" 2>&1 || why+="${why:+; }the cluster was not sound within another 240 s"
    [ "$active" = "$to" ] || why+="${why:+; }the group runs on $active, not on $to"
    report=$(writer report) verified=$(writer verify)
    printf '{"number": %d, "from": "%s", "to": "%s", "taken_over_s": %d, "seconds": %d, "why": "%s", "report": %s, "verified": %s}\n' \
        "$1" "$from" "$to" "$taken" $((SECONDS - begun)) "$why" "${report:-null}" "${verified:-null}" >>"$seen/moves"
    [ -z "$why" ]
}

# Until the time is over; then on to an even number, and everything is read back.
move_back_and_forth() {
    local end=$((SECONDS + minutes * 60)) number=0
    soak_begun=$SECONDS
    while [ "$SECONDS" -lt "$end" ] || [ "$number" -lt 4 ] || [ $((number % 2)) = 1 ]; do
        number=$((number + 1))
        if ! move_once "$number"; then
            ended="ended by switch-over $number"
            what_is_known >&2
            return 0
        fi
        if [ "$number" = 2 ] || [ $((number % every)) = 0 ]; then count_both "$number"; fi
    done
    [ "$counted_at" = "$number" ] || count_both "$number"
    ended=''
    last_report=$(writer report)
    everything=$(writer_limit=1800 writer verify-all)
    writer end >/dev/null
    return 0
}

# Also when the run is cut short: what was seen until then.
report_all() {
    local facts=("ended=$ended" "seconds=$((SECONDS - soak_begun))" "report=$last_report" "all=$everything")
    [ -n "$soak_begun" ] || return 1
    [ -z "$json" ] || "$here/soak.d/judge.py" json "$seen" "${facts[@]}" >"$json"
    echo
    "$here/soak.d/judge.py" table "$seen" "${facts[@]}"
}
ended='cut short' last_report='' everything='' soak_begun=''
