# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: the replication link is cut under load, and the cluster's own is not.

play_link_cut() {
    local policy
    for policy in resource-and-stonith resource-only; do
        settings "fencing=$policy" || die "no fencing $policy"
        start_writer "$active"
        link_is_cut "$policy"
        link_is_healed "$policy"
    done
}

link_is_cut() { # POLICY
    cut_link
    expect both "$1: a constraint keeps $other from being promoted" wait_for 60 constraint
    answer both "$1: constraint $waited s after the cut"
    expect both "$1: the peer counts as outdated" wait_for 30 drbd_is "$active" 'ro:Primary/Unknown ds:UpToDate/Outdated'
    expect both "$1: writes go on" goes_on
    expect both "$1: $active stays promoted" is_promoted_on "$active"
}

link_is_healed() { # POLICY
    local since=$SECONDS
    heal
    expect both "$1: after the link is back both disks are up to date" wait_for 60 in_sync
    expect both "$1: and the constraint goes" wait_for 40 no_constraint
    since=$((SECONDS - since))
    end_writer "$active"
    answer both "$1: gap $(gap) s; no constraint $since s after the link was back"
    sleep 3
    expect both "$1: for good" no_constraint
    expect both "$1: nothing acknowledged is lost" nothing_lost "$active"
}
