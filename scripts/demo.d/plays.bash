# shellcheck shell=bash disable=SC2154 # set by who sources it
# Sourced by scripts/demo, and by all that builds its cluster for the first part: the events, what the initiator noticed of them, and the table.

rows=()
total_errors=0 total_lost=0 total_gap=0

writer() { limit=${writer_limit:-150} on ini /root/writer "$1" 2>>"$log"; } # WORD

# The group runs on the node and both disks are being written to again.
taken_over() { # NODE
    local report
    [ "$(group_is_on "$1")" = "$1" ] || return 1
    report=$(writer report) && python3 -c 'import json, sys; sys.exit(json.loads(sys.argv[1])["silent"] > 1.5)' "$report"
}

# Pacemaker's record of each resource's last action but monitors: NODE RESOURCE ACTION MILLISECONDS, if it succeeded.
actions_seen_by() { # NODE
    on "$1" cibadmin --query --scope status 2>>"$log" |
        sed -n 's/.* id="p_\([a-z]*\)_last_0".* operation="\([a-z]*\)".* on_node="\([^"]*\)".* rc-code="0".* exec-time="\([0-9]*\)".*/\3 \1 \2 \4/p'
}
took() { awk -v key="$1 $2 $3" '$1 " " $2 " " $3 == key { print $4 }' "$work/actions"; } # NODE RESOURCE ACTION
say_agents() { # NODE ACTIONS
    local list
    list=$(awk -v node="$1" -v kind="$2" '$1 == node && $3 ~ kind { printf "%s%s %s %s", sep, $2, $3, $4; sep = ", " }' "$work/actions")
    [ -z "$list" ] || say "  agents on $1: $list ms"
}

# One event: it happens, the group runs on the other node, the initiator is asked, the roles are changed.
play() { # NAME COMMAND-THAT-MAKES-IT-HAPPEN
    local name=$1 begin=$2 begun=$SECONDS report verified gap errors lost start stop
    writer mark >/dev/null || { expect "$name: the writer answers" false; return; }
    say ''
    say "$name: $active → $other"
    "$begin" >>"$log" 2>&1
    expect "$name: the group runs on $other and writes go on, within 240 s" wait_for 240 taken_over "$other" 2>>"$log"
    begun=$((SECONDS - begun))
    report=$(writer report)
    gap=$(value "$report" gap) errors=$(value "$report" errors)
    verified=$(writer verify)
    lost=$(value "$verified" lost)
    actions_seen_by "$other" >"$work/actions"
    stop=$(took "$active" lio stop)
    start=$(took "$other" lio start)
    [ "$name" != 'hung stop' ] || stop=rebooted
    expect "$name: no I/O error, but ${errors:-no answer}: $(value "$report" texts)" [ "$errors" = 0 ]
    expect "$name: no acknowledged write lost, but ${lost:-no answer}: $(value "$verified" texts) $(value "$verified" failed)" [ "$lost" = 0 ]
    printf -v gap '%.1f' "${gap:-0}"
    say "  writes stood still for $gap s, ${errors:-?} errors; $(value "$verified" read) acknowledged blocks read back, ${lost:-?} lost ($begun s)"
    say_agents "$active" 'stop|demote'
    say_agents "$other" 'start|promote'
    rows+=("$name|$gap|${errors:-?}|${lost:-?}|${stop:--}|${start:--}")
    total_errors=$((total_errors + ${errors:-0})) total_lost=$((total_lost + ${lost:-0}))
    total_gap=$(awk "BEGIN { print $total_gap + $gap }")
    [ "$failed" = 0 ] || { what_is_known >&2; table; exit 1; }
    local left=$active
    active=$other other=$left
}

move_group() { on "$other" crm_resource --move --resource g_tgt --node "$other"; }
allow_back() { on "$active" crm_resource --clear --resource g_tgt; }

# The node that went down is back: its part of the cluster is started, as an operator would, and its disk brought up to date.
rejoin() { # NODE BOOT-ID-BEFORE
    bounded 200 "$here/lab" wait "$1" --rebooted "$2" --timeout 180 && start_cluster_on "$1" && wait_for 120 both_online && wait_for 120 redundant
}
redundant() { in_sync "$active" && on "$active" crm_mon -1 | grep -q "Unpromoted: .* $other "; }

switch_over() {
    play 'planned switch-over' move_group
    step '  the constraint of the move is taken away' allow_back
}

# The agent by hand, with the resource's parameters and these: what it says, and its code.
vip_on() { # NODE ACTION [VARIABLE=VALUE...]
    on "$1" "OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=p_vip OCF_RESKEY_CRM_meta_timeout=10000 OCF_RESKEY_ip=10.110.88.59 \
        OCF_RESKEY_cidr_netmask=26 OCF_RESKEY_nic=lan OCF_RESKEY_iflabel=1 ${*:3} /usr/lib/ocf/resource.d/san/VIP $2 2>&1
        echo code \$?"
}
hardware_address() { on "$1" cat /sys/class/net/lan/address; } # NODE
says() { [[ $1 == *"$2" ]]; }                                  # ANSWER END
blames() { [[ $1 == *ocf-exit-reason:*"$2"*"$3" ]]; }          # ANSWER HARDWARE-ADDRESS END

# Both who wants an address that another node has, and who has one that another node takes, notice.
claimed_twice() {
    local said
    say ''
    said=$(vip_on "$other" start OCF_RESKEY_run_arping=true)
    expect "claimed twice: a start with run_arping on $other is refused and names $active's card, but: $said" \
        blames "$said" "$(hardware_address "$active")" 'code 1'
    on "$other" ip address add 10.110.88.59/26 dev lan
    said=$(vip_on "$active" monitor OCF_CHECK_LEVEL=10)
    expect "claimed twice: a deep monitor on $active is degraded and names $other's card, but: $said" \
        blames "$said" "$(hardware_address "$other")" 'code 190'
    said=$(vip_on "$other" stop)
    expect "claimed twice: a stop on $other takes the address away, but: $said" says "$said" 'code 0'
    said=$(vip_on "$active" monitor OCF_CHECK_LEVEL=10)
    expect "claimed twice: after that all is well on $active, but: $said" says "$said" 'code 0'
    say "the address claimed twice: a start on $other refused, a deep monitor on $active degraded, well again after a stop on $other"
}

pull_cable() { lab unplug "$active" lan; }
put_cable_back() {
    lab plug "$other" lan
    sleep 1
    on "$active" crm_resource --cleanup --resource p_vip --node "$other" && wait_for 60 redundant
}
pulled_cable() {
    play 'pulled cable' pull_cable
    on "$active" crm_mon -1 >"$work/monitor" 2>&1
    expect "pulled cable: the cluster says why: $(grep p_vip "$work/monitor")" grep -q "p_vip.* on $other .*carrier" "$work/monitor"
    step '  the cable is put back' put_cable_back
}

panic() { limit=5 on "$active" 'echo c >/proc/sysrq-trigger' || true; }
crash() {
    local boot
    boot=$(lab boot-id "$active")
    play 'crash (sysrq c)' panic
    step "  $other boots, joins again, and its disk is brought up to date" rejoin "$other" "$boot"
}

hang() {
    # The disk that is being written to stops answering; three seconds later the operator moves the group away.
    on "$active" dmsetup suspend --noflush --nolockfs vg1-lv--lun0
    sleep 3
    move_group
}
hung_stop() {
    local boot
    boot=$(lab boot-id "$active")
    play 'hung stop' hang
    step "  $other boots, joins again, and its disk is brought up to date" rejoin "$other" "$boot"
    step '  the constraint of the move is taken away' allow_back
    lab console "$other" >"$work/console"
    expect 'hung stop: our agent says on the console that it pressed the keys' grep -q 'stop is stuck, pressing sysrq' "$work/console"
    on "$other" 'head -v -n 12 /var/log/ocf-san/hang-*' >"$work/evidence" 2>&1
    expect 'hung stop: the evidence names the disk' grep -q 'vg1-lv--lun0' "$work/evidence"
    [ -n "$check" ] || { grep 'ocf-san' "$work/console" | cut -c 1-200 | head -n 4; cat "$work/evidence"; } | sed 's/^/    /'
}

all_read_back=0
read_all_back() {
    local verified
    say ''
    verified=$(writer verify-all)
    all_read_back=$(value "$verified" read)
    expect "at the end everything ever acknowledged is there: $verified" [ "$(value "$verified" lost)" = 0 ]
    writer end >/dev/null
}

table() {
    local row cells
    printf '\n%-22s %7s %7s %18s %15s %15s\n' event 'gap s' 'I/O err' 'acknowledged lost' 'LIO stop ms' 'LIO start ms'
    for row in "${rows[@]}"; do
        IFS='|' read -ra cells <<<"$row"
        printf '%-22s %7s %7s %18s %15s %15s\n' "${cells[@]}"
    done
    echo "${#rows[@]} events, $total_gap s without a completed write, $total_errors I/O errors, $total_lost acknowledged writes lost;" \
        "$all_read_back blocks read back at the end; $failed expectations not held; $SECONDS s"
}
