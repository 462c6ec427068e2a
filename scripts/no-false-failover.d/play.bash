# shellcheck shell=bash disable=SC2154,SC2034 # set by scripts/no-false-failover
# Sourced by scripts/no-false-failover: a cluster with one of the stacks, the load, and what is kept of it.

fail() { echo "$1" >>"$dir/failures"; } # SENTENCE: what could not be seen

# What a node has beside the files of the demo. The executor logs the end of each monitor only when it is asked for more.
more_files() { # NODE
    lab put "$1" "$here/no-false-failover.d/load" /root/load && lab put "$1" "$here/no-false-failover.d/stopwatch" /root/stopwatch &&
        on "$1" 'echo PCMK_debug=pacemaker-execd >>/etc/default/pacemaker'
}

mark_node() { # NODE
    on "$1" 'wc -l </var/log/pacemaker/pacemaker.log' >"$dir/lines-$1" && lab boot-id "$1" >"$dir/boot-$1" && on "$1" /root/stopwatch start
}
load_on() { limit=180 on "$1" /root/load start >"$dir/load-$1"; } # NODE

# What the load still was, first of all; then it ends, so that the rest does not have to wait for it.
unload() { # NODE
    limit=180 on "$1" /root/load check >"$dir/left-$1" || fail "$1 does not say what is left of the load"
    limit=180 on "$1" /root/load end || fail "the load on $1 did not end"
}
collect() { # NODE
    local boot
    boot=$(limit=180 lab boot-id "$1")
    [ -z "$boot" ] || [ "$boot" = "$(cat "$dir/boot-$1")" ] || echo "$1 was rebooted" >>"$dir/notes"
    limit=120 on "$1" /root/stopwatch end >"$dir/times-$1" || fail "$1 has no times"
    limit=120 on "$1" tail -n "+$(($(cat "$dir/lines-$1") + 1))" /var/log/pacemaker/pacemaker.log >"$dir/log-$1" || fail "$1 has no log"
}
keep_cluster() {
    local node
    for node in node2 node1; do
        limit=60 on "$node" timeout 50 crm_mon -1rf >"$dir/cluster" && return
    done
    fail 'no node says how the cluster is'
}

watch_for() { # MINUTES
    local end=$((SECONDS + $1 * 60)) minute=0 report
    while [ "$SECONDS" -lt "$end" ]; do
        bounded 70 sleep $((end - SECONDS < 60 ? end - SECONDS : 60))
        minute=$((minute + 1))
        report=$(writer report)
        printf '%s: %s, minute %d of %d: longest gap so far %.1f s, %s I/O errors\n' "$me" "$STACK" "$minute" "$1" \
            "$(value "$report" gap)" "$(value "$report" errors)"
    done
}

# From nothing to what was seen of one stack, which is kept in $seen/STACK.
play_stack() { # STACK
    export STACK=$1 LIMITS=advised
    # The shell agents run past those on an idle emulated processor already.
    [ "$1" = ours ] || LIMITS=lab
    dir=$seen/$1
    say "the agents are $1"
    prepare
    build_cluster
    start_writing
    step 'the cluster is sound' wait_for 300 is_sound
    mkdir "$dir"
    loaded_at=$SECONDS
    step 'what is kept of it begins' together 'mark_node node1' 'mark_node node2'
    writer mark >/dev/null || fail 'the writer does not answer'
    step 'four busy loops and 90 % of the memory, on both nodes' together 'load_on node1' 'load_on node2'
    watch_for "$minutes"
    writer report >"$dir/report"
    {
        together 'unload node1' 'unload node2'
        together 'collect node1' 'collect node2'
        keep_cluster
    } >>"$log" 2>&1
    writer_limit=1800 writer verify-all >"$dir/verified"
    echo "$((SECONDS - loaded_at))" >"$dir/seconds"
    now=$(group_is_on node1 || group_is_on node2)
    "$here/no-false-failover.d/judge.py" judge "$dir" "stack=$1" "minutes=$minutes" "active=$active" "now=$now"
}

# Also when the run is cut short: of the stacks that were watched to the end. The code says whether these are all, and none is red.
report_all() {
    [ -z "$json" ] || "$here/no-false-failover.d/judge.py" json "$seen" >"$json"
    echo
    "$here/no-false-failover.d/judge.py" table "$seen" "${stacks[@]}"
}
