# shellcheck shell=bash disable=SC2154,SC2034 # set and used by drbd-two-nodes
# Sourced by drbd-two-nodes: expectations, answers, and how things are run.

rows=() answers=() play='' begun=0

say() { printf '%s\n' "$*"; }
on() { timeout -k 5 "${limit:-60}" scripts/lab run "$@" </dev/null; } # NODE COMMAND...
both() { # COMMAND...: on both nodes at once
    local first code=0
    on node1 "$@" & first=$!
    on node2 "$@" || code=1
    wait "$first" || code=1
    return "$code"
}

# Until a command succeeds; false when it does not within the time, or three times that, because the machine may be busy with other
# tests. Sets $waited, in seconds.
wait_for() { # SECONDS COMMAND...
    local since=$SECONDS end=$((SECONDS + 3 * $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            waited=$((SECONDS - since))
            return 1
        fi
        sleep 0.5
    done
    waited=$((SECONDS - since))
}

# What must be true of one of the two, or of both. The other one is not asked.
expect() { # ours|peer|both SENTENCE COMMAND...
    local whom=$1 sentence=$2
    shift 2
    [ "$whom" = both ] || [ "$whom" = "$contestant" ] || return 0
    if "$@" >"$work/out" 2>&1; then
        held=$((held + 1))
        say "    $sentence"
        return
    fi
    failed=$((failed + 1))
    say "  NOT AS EXPECTED: $play: $sentence"
    tail -n 8 "$work/out"
    what_is_known
    return 1
}
not() { ! "$@"; }

answer() { # ours|peer|both TEXT: a piece of the scenario's row in the table
    [ "$1" = both ] || [ "$1" = "$contestant" ] || return 0
    answers+=("$2")
    say "    → $2"
}

begin() { # PLAY
    play=$1 answers=() begun=$SECONDS
    say "$play ($contestant): $active is promoted"
}
end_of_play() {
    local text
    printf -v text '%s; ' "${answers[@]}"
    rows+=("$(printf '%-12s %4d s  %s' "$play" $((SECONDS - begun)) "${text%; }")")
}
table() {
    say
    printf '%s\n' "${rows[@]}"
    say
}

die() { # SENTENCE: without this nothing else makes sense
    say "FAILED: $1"
    what_is_known
    exit 1
}

what_is_known() {
    local node
    for node in node1 node2; do
        say "  --- $node"
        limit=30 on "$node" 'cat /proc/drbd; timeout 10 crm_mon -1rfA | sed 1,8d; dmesg | grep -i drbd | tail -n 8
            grep -hE "drbd|DRBD" /var/log/pacemaker/pacemaker.log | grep -vE "debug|info:" | tail -n 8
            journalctl -q -b -o cat | grep handler= | tail -n 5' 2>&1 | cut -c 1-240 || true
    done
}
