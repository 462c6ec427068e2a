# shellcheck shell=bash disable=SC2154 # set by who sources it
# Sourced by scripts/demo and all that builds its cluster: what they say ($me is who speaks), and how they run things.

failed=0
ours='' # set once the lab may hold something of this run

say() { [ -n "$check" ] || echo "${1:+$me: $1}"; }

# Every command is bounded, and run so that Ctrl-C ends the wait for it at once.
bounded() { # SECONDS COMMAND...
    timeout --kill-after=5 "$@" <&0 3>&- 4>&- &
    wait "$!"
}
lab() { bounded "${limit:-60}" "$here/lab" "$@"; } # limit=SECONDS lab VERB...
on() { lab run "$@" </dev/null; }                  # GUEST COMMAND...

# Runs a function or command, says how long it took, and ends the run when it fails.
step() { # SENTENCE COMMAND...
    local begun=$SECONDS
    [ -n "$check" ] || printf '%s: %-62s ' "$me" "$1"
    if "${@:2}" >"$log" 2>&1 </dev/null; then
        [ -n "$check" ] || printf '%3d s\n' $((SECONDS - begun))
        return
    fi
    [ -n "$check" ] || echo 'FAILED'
    echo "$me: failed after $((SECONDS - begun)) s: $1" >&2
    tail -n 20 "$log" >&2
    what_is_known >&2
    exit 1
}

# Runs its commands side by side; fails when one of them does.
together() { # COMMAND-LINE...
    local line pid pids=() result=0
    for line; do
        eval "$line" &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || result=1; done
    return "$result"
}

# Until a command succeeds; what it says the last time is kept.
wait_for() { # SECONDS COMMAND...
    local begun=$SECONDS end=$((SECONDS + $1))
    shift
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "waited $((SECONDS - begun)) s in vain for: $*" >&2
            return 1
        fi
        sleep 2
    done
}

# An expectation that does not hold is told and counted, but the run goes on.
expect() { # SENTENCE COMMAND...
    "${@:2}" && return
    failed=$((failed + 1))
    echo "$me: NOT AS EXPECTED: $1" >&2
}

# The value of a key in one line of JSON; nothing when there is no answer to look into.
value() { [ -z "$1" ] || python3 -c 'import json, sys; print(json.loads(sys.argv[1]).get(sys.argv[2], ""))' "$1" "$2"; } # JSON KEY

what_is_known() {
    local node
    [ -n "$ours" ] || return 0
    for node in node1 node2; do
        echo "--- $node: cluster, DRBD, and what the agents said last"
        limit=40 on "$node" 'timeout 15 crm_mon -1rfA; cat /proc/drbd; grep -hE "DRBD-helper|cLVM|LIO|VIP|p_drbd|p_lvm|p_lio|p_vip|error" /var/log/pacemaker/pacemaker.log | tail -n 12' 2>&1
        echo "--- $node: end of the console"
        lab console "$node" | tail -n 8
    done
    echo '--- ini'
    limit=20 on ini '[ ! -S /run/writer.socket ] || /root/writer report; dmesg | tail -n 8' 2>&1
}

how_to_look() {
    cat <<END
$me: the cluster stays up. To look at it:
    export OCF_SAN_LAB=$OCF_SAN_LAB
    scripts/lab run node1 crm_mon -1rf           # or: pcs status --full
    scripts/lab run node1 'crm_resource --move --resource g_tgt --node node2; crm_resource --clear --resource g_tgt'
    scripts/lab run ini /root/writer report      # or: mark, verify, verify-all
and to end it:
    OCF_SAN_LAB=$OCF_SAN_LAB scripts/lab down
END
}

# Whatever ended the run: its guests go, but for --keep.
finish() {
    local code=$? children
    trap '' INT TERM
    trap - EXIT
    exec 1>&3 2>&4 # a step that was cut off had its output elsewhere
    [ "$code" -lt 128 ] || echo
    # Nothing may start a guest after `down`.
    mapfile -t children < <(jobs -p)
    [ "${#children[@]}" = 0 ] || kill "${children[@]}" 2>/dev/null
    wait
    if [ -n "$ours" ] && [ -n "$keep" ] && [ "$code" -lt 128 ]; then
        how_to_look
    elif [ -n "$ours" ]; then
        say 'taking the virtual machines down'
        timeout 120 "$here/lab" down || code=1
    fi
    rm -rf -- "$work"
    exit "$code"
}
finish_at_the_end() {
    exec 3>&1 4>&2
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
