# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # set by scripts/drill; what guests expand
# Sourced by scripts/drill: one case from the mark to the verdict.

red() { echo "$1" >>"$case_dir/failures"; } # SENTENCE: why the case is not green
note() { echo "$1" >>"$case_dir/notes"; }   # SENTENCE: what else was seen

# The first command that fails is what the case did not get to do.
play_case() { # NAME
    local name=$1 action=${1%-fenced} undo begun=$SECONDS node
    action=${action%-standby}
    case_dir=$work/cases/$name
    mkdir -p "$case_dir"
    log=$case_dir/log
    : >"$case_dir/failures"
    : >"$case_dir/notes"
    first_active=$active first_other=$other victim=$active bystander=$other
    [[ $name != *-standby* ]] || { victim=$other bystander=$active; }
    ! declare -F "do_${name//-/_}" >/dev/null || action=$name
    printf '%s: %-26s %s\n' "$me" "$name" "${does[$name]}"
    switched_before=$(wc -l <"$work/switch")
    mark_all || red 'the writer or a node did not answer before it began'
    watch_addresses "$name" & watching=$!
    "do_${action//-/_}" >>"$log" 2>&1 || red 'it could not be done'
    await "$name" >>"$log" 2>&1
    keep_cluster_record during
    undo=undo_${name//-/_}
    declare -F "$undo" >/dev/null || undo=undo_${action//-/_}
    if declare -F "$undo" >/dev/null; then
        "$undo" >>"$log" 2>&1 || red 'it could not be taken back'
    fi
    sound=yes
    if ! settle "$name" >>"$log" 2>&1; then
        sound=''
        red 'the cluster was not sound again afterwards'
        what_is_known >"$case_dir/known" 2>&1
    fi
    wait_for 120 writes_go_on 2>>"$log" || red 'no writes at the end'
    { kill "$watching" && wait "$watching"; } 2>/dev/null
    ! { has_address node1 && has_address node2; } || red 'the virtual IP is on both nodes at the end'
    finish_case "$name" $((SECONDS - begun))
    grep -Eq '"verdict": "(green|told)"' "$case_dir/record.json" || keep_logs
}

# Until the outcome is there, or it is certain that it is not.
await() { # NAME
    local limit_of
    limit_of=$(number_of "$1" gap 240)
    case ${outcome_of[$1]} in
        moves)
            wait_for "$((limit_of > 240 ? limit_of : 240))" taken_over "$first_other" || red "the group did not run on $first_other within 240 s"
            ;;
        *) sleep "$(number_of "$1" hold 25)" ;;
    esac
}

writes_go_on() {
    local report
    report=$(writer report) && python3 -c 'import json, sys; sys.exit(json.loads(sys.argv[1])["silent"] > 1.5)' "$report"
}

# The address on both nodes is what no case may lead to that the table does not say it of: looked at from outside the cluster, every few seconds.
watch_addresses() { # NAME
    while sleep 4; do
        # The first one once more, or a move in between would be two.
        if has_address node1 && has_address node2 && has_address node1; then
            if has_word "$1" twice; then note 'the virtual IP was on both nodes for a while'; else red 'the virtual IP is on both nodes'; fi
            return
        fi
    done
}
has_address() { limit=5 says_on "$1" '10\.110\.88\.59/' 'ip -o -4 address show' 2>/dev/null; } # NODE

# --- how things are done to a guest -----------------------------------------------------------

reboots_by() { limit=8 on "$1" "$2"; true; } # NODE COMMAND: that does not return
back_from_boot() { bounded 200 "$here/lab" wait "$1" --rebooted "${boot_of[$1]}" --timeout 180; } # NODE
kill_hard() { on "$1" "pkill -KILL -x '$2'"; } # NODE NAME, of which the kernel keeps 15 letters

# Drops a TCP or UDP port's packets, in and out, on both LANs, where no iptables is.
block_port() { # NODE tcp|udp PORT [MASK]
    local protocol=17
    [ "$2" = udp ] || protocol=6
    on "$1" "for nic in lan repl; do
        tc qdisc add dev \$nic clsact || exit
        for way in ingress egress; do for end in sport dport; do
            tc filter add dev \$nic \$way protocol ip u32 match ip protocol $protocol 0xff match ip \$end $3 ${4:-0xffff} action drop || exit
        done; done
    done"
}
open_ports() { on "$1" 'for nic in lan repl; do tc qdisc del dev $nic clsact; done; true'; }
