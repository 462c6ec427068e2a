# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: what DRBD, Pacemaker, the agent and the writer say.

first=0 # the next block that nobody has written yet
writers=()

drbd_is() { on "$1" cat /proc/drbd | grep -Eq "$2"; } # NODE PATTERN
in_sync() { drbd_is "$active" 'cs:Connected .*ds:UpToDate/UpToDate'; }
promoted_on() { on "$1" crm_resource --locate --resource p_drbd 2>/dev/null | sed -En 's/.* running on: (node[12]) (Promoted|Master).*/\1/p'; } # NODE-TO-ASK
is_promoted_on() { [ "$(promoted_on "${2:-$1}")" = "$1" ]; } # NODE [NODE-TO-ASK]
role_of() { on "$1" sed -n 's/^ *0: .*ro:\([A-Za-z]*\).*/\1/p' /proc/drbd; } # NODE
is_role() { [ "$(role_of "$1")" = "$2" ]; } # NODE ROLE
score_of() { on "$active" attrd_updater -Q -n master-p_drbd -N "$1" 2>/dev/null | sed -n 's/.* value="\(-\?[0-9A-Z]*\)".*/\1/p'; } # NODE
constraint() { on "$active" cibadmin -Q --scope constraints | grep 'id="drbd-fence-by-handler-r0'; }
no_constraint() { # and not only no answer
    local found
    found=$(on "$active" cibadmin -Q --scope constraints) && [[ $found != *drbd-fence-by-handler-r0* ]]
}

# Code and reason of a resource's last recurring monitor on a node, as Pacemaker has them.
seen_by_pacemaker() { # NODE CODE REASON-PATTERN
    on "$1" cibadmin -Q --xpath "//node_state[@uname='$1']//lrm_rsc_op[@operation='monitor'][@interval!='0']" |
        grep "rc-code=\"$2\"" | grep -Ei "exit-reason=\"[^\"]*($3)"
}

# The agent by hand: what it says, then its code. As Pacemaker would call it; ours but for the feature set, without which it writes no score.
by_hand() { # NODE ACTION [VARIABLE=VALUE...]
    local node=$1 action=$2 agent=san/DRBD-helper feature=
    shift 2
    [ "$contestant" = ours ] || agent=linbit/drbd feature=OCF_RESKEY_crm_feature_set=3.16.2
    on "$node" "OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=p_drbd OCF_RESOURCE_PROVIDER=${agent%/*} OCF_RESOURCE_TYPE=${agent#*/} \
        OCF_RESKEY_drbd_resource=r0 ${parameters[*]/#/OCF_RESKEY_} OCF_RESKEY_CRM_meta_timeout=20000 OCF_RESKEY_CRM_meta_clone_max=2 \
        OCF_RESKEY_CRM_meta_clone_node_max=1 OCF_RESKEY_CRM_meta_master_max=1 OCF_RESKEY_CRM_meta_promoted_max=1 \
        OCF_RESKEY_CRM_meta_notify=true $feature $* /usr/lib/ocf/resource.d/$agent $action 2>&1; echo code \$?"
}
# It answers with this code, and with a reason like this if one is asked for.
answers() { # NODE ACTION CODE REASON-PATTERN [VARIABLE=VALUE...]
    by_hand "$1" "$2" "${@:5}" >"$work/said" || return 1
    grep -v '^$' "$work/said"
    grep -qx "code $3" "$work/said" || return 1
    [ -z "$4" ] || grep -Eiq "^ocf-exit-reason:.*($4)" "$work/said"
}
reason() { sed -n 's/^ocf-exit-reason://p' "$work/said" 2>/dev/null; }

# --- the writer ------------------------------------------------------------------------------

# Writes on a node from $first on; what was acknowledged is in $work/acknowledged.SIDE, and belongs to what must be there at the end.
start_writer() { writes_begin "$@" || die "no write on $1: $(cat "$work/writer-said")"; } # NODE [SIDE]
writes_begin() { # NODE [SIDE]
    local node=$1 side=${2:-1}
    : >"$work/acknowledged.$side"
    on "$node" rm -f /run/writer.end
    limit=300 on "$node" "/root/writer write /dev/drbd0 $side $first" >"$work/acknowledged.$side" 2>"$work/writer-said" &
    writers+=("$!")
    wait_for 30 has_written 1 "$side" || { cat "$work/writer-said"; return 1; }
}
written() { wc -l <"$work/acknowledged.${1:-1}"; } # [SIDE]
has_written() { [ "$(written "${2:-1}")" -ge "$1" ]; } # COUNT [SIDE]
goes_on() { wait_for 20 has_written $(($(written) + 20)); }
stands_still() {
    local now
    now=$(written)
    sleep 4
    [ "$(written)" = "$now" ]
}
# The longest time between two acknowledged writes, in seconds.
gap() { awk '{ if (NR > 1 && $3 - last > most) most = $3 - last; last = $3 } END { printf "%.1f", most / 1000 }' "$work/acknowledged.${1:-1}"; }
end_writer() { # NODE [SIDE]: the next one begins where this one ended
    on "$1" touch /run/writer.end || true
    wait "${writers[@]}" 2>/dev/null || true
    writers=()
    keep_written "${2:-1}"
}
keep_written() { # SIDE
    # Of a line that a power cut has cut off nothing is known.
    awk 'NF == 3' "$work/acknowledged.$1" >>"$work/acknowledged"
    first=$(awk '$2 >= next_one { next_one = $2 + 1 } END { print next_one + 0 }' "$work"/acknowledged "$work"/acknowledged.*)
}
# Everything ever acknowledged, as the node that is promoted has it.
nothing_lost() { # NODE
    timeout 120 scripts/lab run "$1" /root/writer verify /dev/drbd0 <"$work/acknowledged" >"$work/verified" 2>&1
    local code=$?
    cat "$work/verified"
    return "$code"
}
