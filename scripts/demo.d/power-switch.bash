# shellcheck shell=bash
# Sourced by the scripts whose clusters have fencing: the power switch of the lab, which fence_switch asks for on the serial console.

# Cuts off the other node of the one that asks, and tells it so. Of two that ask at once the second is not heard, because it is off by then.
# Runs until it is killed.
power_switch() { # LAB-PROGRAM
    local node victim asked status
    declare -A seen
    for node in node1 node2; do seen[$node]=$(requests_of "$1" "$node"); done
    while sleep 1; do
        for node in node1 node2; do
            asked=$(requests_of "$1" "$node")
            [ "$asked" -gt "${seen[$node]}" ] || continue
            seen[$node]=$asked
            [ "$node" = node1 ] && victim=node2 || victim=node1
            "$1" cut "$victim" 2>/dev/null
            # Only what is off is confirmed; what is not, the node asks for again.
            status=$("$1" status)
            grep -Eq "^$victim +off" <<<"$status" || continue
            echo "    $node has $victim switched off"
            timeout 60 "$1" run "$node" touch /run/switched-off </dev/null
            seen[$victim]=$(requests_of "$1" "$victim")
        done
    done
}
requests_of() { # LAB-PROGRAM NODE
    local console
    console=$("$1" console "$2" 2>/dev/null)
    grep -ac '^lab: fence' <<<"$console"
}
