# shellcheck shell=bash disable=SC2154,SC2016 # set by scripts/bench switchover; what guests expand
# Sourced by scripts/bench switchover: one event, from the mark to the record. While it lasts nobody asks the nodes anything, for an answer
# takes of the processor that the agents need.

played=0
pacemaker_log=/var/log/pacemaker/pacemaker.log
declare -A from_line

red() { echo "$1" >>"$event/failures"; } # SENTENCE: why the run has failed
is_on() { [ -n "$(process_of "$1")" ]; } # NODE
process_of() { lab status | awk -v name="$1" '$1 == name && $2 == "running" { print $5 }'; } # GUEST

play() { # move|cut ROUND
    local begun=$SECONDS first_active first_other
    printf -v event '%s/events/%03d' "$work" $((++played))
    mkdir "$event"
    log=$event/log
    first_active=$active first_other=$other
    mark || die "$stack, $1: not all guests answer before it begins: $(tail -n 3 "$log")"
    "do_$1"
    collect >>"$log" 2>&1
    "undo_$1" >>"$log" 2>&1 || red 'it could not be taken back'
    settle >>"$log" 2>&1 || red 'the cluster was not whole again afterwards'
    "$bench/switchover.py" judge "$event" "who=$stack" "event=$1" "round=$2" "from=$first_active" "to=$first_other" | sed "s/^/$me:   /" ||
        echo "$stack, $1, round $2: there is no record of it" >>"$work/failures"
    say "  ($((SECONDS - begun)) s)"
    log=$work/log
    if [ -z "$active" ] || ! wait_for 90 is_whole 2>/dev/null; then
        what_is_known
        exit 1
    fi
}

# Where the logs end, and by how much the host's clock is ahead of each guest's.
mark() {
    local guest
    for guest in node1 node2; do from_line[$guest]=$(on "$guest" "wc -l <$pacemaker_log") || return 1; done
    for guest in node1 node2 ini; do "$bench/switchover.py" clock "$guest" >>"$event/clocks" 2>>"$log" || return 1; done
    [ "$stack" = floor ] || writer mark >>"$log"
} 2>>"$log"

# Returns when the last resource of the group has started there, without asking again and again.
started_on() { # NODE
    limit=500 on "$1" "timeout 480 grep -aqm1 'Result of start operation for p_vip on $1: ok' \
        < <(exec timeout 480 tail -n +$((from_line[$1] + 1)) -f $pacemaker_log)"
}
await() { # PROCESS: of started_on
    wait "$1" || { red "the group did not start on $other within 480 s"; return; }
    [ "$stack" = floor ] || wait_for 120 writes_go_on 2>>"$log" || red 'writes did not go on within 120 s after the start'
    sleep 2
}
writes_go_on() { on ini '[ $(($(date +%s) - $(stat -c %Y /root/acknowledged))) -le 1 ]' && is_written_to; }
# Both disks.
is_written_to() {
    local report
    report=$(writer report) && python3 -c 'import json, sys; sys.exit(json.loads(sys.argv[1])["silent"] > 1.5)' "$report"
}

# The command's moment is by the clock of the node where it is given, which is the one whose log has the last start.
do_move() {
    started_on "$other" 2>>"$log" &
    local watching=$!
    sleep 3
    on "$other" "echo \"\$EPOCHREALTIME\"; crm_resource --move --resource g_tgt --node $other >/dev/null" >"$event/command" 2>>"$log" ||
        red 'the command failed'
    await "$watching"
}
undo_move() { on "$other" crm_resource --clear --resource g_tgt; }

# The host's clock, when the guest's process was gone.
do_cut() {
    local process watching dying
    process=$(process_of "$active")
    started_on "$other" 2>>"$log" &
    watching=$!
    sleep 3
    end_of "$process" >"$event/command" &
    dying=$!
    lab cut "$active" >>"$log" 2>&1 || red 'the power could not be cut'
    wait "$dying"
    await "$watching"
}
undo_cut() { limit=240 lab up "$active" && start_cluster_on "$active"; }

# Looks at the command line, which a process that has ended and that nobody has waited for has none of.
end_of() { # PROCESS
    while read -r -d '' _ <"/proc/$1/cmdline"; do sleep 0.01; done 2>/dev/null
    echo "$EPOCHREALTIME"
}

# What was seen, as files that switchover.py reads.
collect() {
    local node report verified
    for node in node1 node2; do
        is_on "$node" || continue
        on "$node" "tail -n +$((from_line[$node] + 1)) $pacemaker_log | grep -aE 'pacemaker-(execd|controld) '" >"$event/pacemaker-$node"
    done
    on "$other" 'read -r uptime _ </proc/uptime; echo "boot $EPOCHREALTIME $uptime"; dmesg | grep "helper command"; true' >"$event/kernel"
    on "$other" 'journalctl -q -b -u corosync -o short-unix --no-pager | tail -n 200' >"$event/corosync"
    [ "$stack" != floor ] || return 0
    report=$(writer report) && echo "$report" >"$event/report"
    verified=$(writer verify) && echo "$verified" >"$event/verified"
}

# From what an event left to a cluster that the next one may begin with. A monitor that failed meanwhile is noted.
settle() {
    local state
    wait_for 700 is_whole || return 1
    state=$(on "$active" crm_mon -1) || return 1
    if [[ $state == *'Failed Resource Actions'* ]]; then
        sed -n '/Failed Resource Actions/,$ { /^ *\*/p }' <<<"$state" >"$event/notes"
        clean_up && sleep 6 && wait_for 400 is_whole || return 1
    fi
    sleep 10
}
