# shellcheck shell=bash disable=SC2154,SC2034 # set by scripts/drill
# Sourced by scripts/drill: what the initiator and the cluster say of a case, and the verdict.

declare -A boot_of
mark_all() {
    local node said from code=0
    for node in node1 node2; do
        said=$(on "$node" 'wc -l </var/log/pacemaker/pacemaker.log && cat /proc/sys/kernel/random/boot_id') || code=1
        read -rd '' from "boot_of[$node]" <<<"$said"
        echo "$from" >"$case_dir/log-from-$node"
    done
    began_at=$(on ini date +%s.%N) && writer mark >/dev/null && return "$code"
}

# Actions that failed, with their reasons, as the cluster has them before anything is cleaned.
keep_cluster_record() { # during|after
    together "keep_mirror $1 node1" "keep_mirror $1 node2" "keep_cluster $1"
}
keep_mirror() { limit=15 on "$2" timeout 10 ocf-san drbd status >"$case_dir/mirror-$1-$2" 2>&1; } # during|after NODE
keep_cluster() {                                                                                  # during|after
    local node # who is left first
    for node in "$bystander" "$victim"; do
        limit=20 on "$node" timeout 15 crm_mon -1rf >"$case_dir/cluster-$1" 2>>"$log" && [ -s "$case_dir/cluster-$1" ] && return
    done
}

# What both nodes wrote down since the mark, of a case that has to be understood.
keep_logs() {
    local node
    for node in node1 node2; do
        limit=90 on "$node" "tail -n +$(($(cat "$case_dir/log-from-$node" 2>/dev/null || echo 0) + 1)) /var/log/pacemaker/pacemaker.log | tail -n 20000" \
            >"$case_dir/pacemaker-$node" 2>&1
        on "$node" journalctl --dmesg --output=short-precise --since "@${began_at%.*}" >"$case_dir/kernel-$node" 2>&1
    done
}

# Starts of the virtual IP that succeeded since the mark, on both nodes: NODE, one a line.
starts() { together 'starts_on node1' 'starts_on node2'; }
starts_on() { # NODE
    on "$1" "tail -n +$(($(cat "$case_dir/log-from-$1" 2>/dev/null || echo 0) + 1)) /var/log/pacemaker/pacemaker.log |
        sed -n 's/.*Result of start operation for p_vip on \($1\): ok.*/\1/p'" 2>>"$log" || red "pacemaker's log of $1 could not be read"
}

# Compares what was seen with the row of the table. Counts nothing that has no answer as well.
finish_case() { # NAME SECONDS
    local name=$1 report verified now gap errors lost recoveries
    report=$(writer report) verified=$(writer verify)
    on ini "awk -v from=$began_at '\$1 >= from { print \$1, \$2 }' /root/acknowledged" >"$case_dir/acknowledged" 2>>"$log"
    keep_cluster_record after
    now=$(group_is_on node1 || group_is_on node2)
    starts >"$case_dir/starts"
    recoveries=$(wc -l <"$case_dir/starts")
    case ${outcome_of[$name]} in
        moves) [ "$now" = "$first_other" ] || red "the group runs on ${now:-no node}, not on $first_other" ;;
        stays | here) [ "$now" = "$first_active" ] || red "the group runs on ${now:-no node}, not on $first_active" ;;
        either) [ -n "$now" ] || red 'the group runs nowhere' ;;
    esac
    [ "${outcome_of[$name]}" != moves ] || grep -qx "$first_other" "$case_dir/starts" || red "pacemaker's log has no start on $first_other"
    [ "${outcome_of[$name]}" != stays ] || [ "$recoveries" = 0 ] || red "the group was started $recoveries times"
    ! declare -F "check_${name//-/_}" >/dev/null || "check_${name//-/_}" >>"$log" 2>&1
    "$here/drill.d/report.py" judge "$case_dir" "name=$name" "group=${group_of[$name]}" "does=${does[$name]}" "must=${must[$name]}" \
        "outcome=${outcome_of[$name]}" "why_not=${why_not[$name]-}" "limit=$(number_of "$name" gap 240)" "from=$first_active" "to=$now" \
        "may_lose=$(! has_word "$name" loses || echo yes)" "began=$began_at" "seconds=$2" "recoveries=$recoveries" "report=$report" \
        "verified=$verified" | sed "s/^/$me:   /"
}

write_reports() {
    [ -n "$(ls -A "$work/cases" 2>/dev/null)" ] || return 0
    [ -z "$json" ] || "$here/drill.d/report.py" json "$work/cases" "${names[@]}" >"$json"
    [ -z "$html" ] || "$here/drill.d/report.py" html "$work/cases" "${names[@]}" >"$html"
    [ -z "$logs" ] || { mkdir -p "$logs" && cp -r "$work/cases/." "$logs"; }
    [ -n "$shown" ] || "$here/drill.d/report.py" table "$work/cases" "${names[@]}"
    shown=yes
}
shown=''
# Every case that was asked for has a verdict, and it is green, or what the table says of what cannot be survived.
all_green() {
    local name
    for name in "${chosen[@]}"; do grep -Eq '"verdict": "(green|told)"' "$work/cases/$name/record.json" 2>/dev/null || return 1; done
}
