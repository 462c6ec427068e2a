# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: both sides are promoted and written to, and see each other again.

play_split_brain() {
    settings fencing=dont-care || die 'no fencing dont-care'
    make_split_brain
    expect both 'the two sides do not talk to each other' wait_for 30 split
    expect ours "a monitor of $active says it" wait_for 20 answers "$active" monitor 191 'split'
    answer ours "$(reason)"
    demote_both
    "promote_in_split_brain_$contestant"
    "recovery_$contestant"
}

# The writer's side is 1 on the node that Pacemaker promoted, 2 on the other.
make_split_brain() {
    first_side=$active
    on "$active" crm_attribute -n maintenance-mode -v true
    start_writer "$active" 1
    cut_link
    wait_for 40 link_is_down || die 'the link is not cut'
    on "$other" drbdadm primary r0 || die "$other can not be promoted by hand"
    start_writer "$other" 2
    wait_for 60 has_written 100 2 || die "too few writes on $other"
    wait_for 60 has_written 300 1 || die "too few writes on $active"
    on "$other" touch /run/writer.end
    on "$active" touch /run/writer.end
    wait "${writers[@]}" || true
    writers=()
    on "$other" drbdadm secondary r0
    heal
}
link_is_down() { drbd_is "$active" 'cs:WFConnection' && drbd_is "$other" 'cs:WFConnection'; }
split() { drbd_is "$active" 'cs:(StandAlone|WFConnection)' && drbd_is "$other" 'cs:(StandAlone|WFConnection)' && { drbd_is "$active" 'cs:StandAlone' || drbd_is "$other" 'cs:StandAlone'; }; }

demote_both() {
    on "$active" drbdadm secondary r0
    on "$active" 'crm_resource --resource p_drbd-clone --meta --set-parameter target-role --parameter-value Slave >/dev/null
        crm_attribute -n maintenance-mode -v false
        crm_resource --refresh >/dev/null 2>&1'
    wait_for 60 nowhere_promoted || die 'still promoted somewhere'
}
nowhere_promoted() { [ -z "$(promoted_on "$active")" ] && is_role "$active" Secondary && is_role "$other" Secondary; }
allow_promotion() { on "$active" crm_resource --resource p_drbd-clone --meta --delete-parameter target-role >/dev/null; }
no_scores() { [ -z "$(score_of node1)$(score_of node2)" ]; }

promote_in_split_brain_ours() {
    expect ours 'neither side has a score' wait_for 60 no_scores
    allow_promotion
    sleep 15
    expect ours 'neither side is promoted by Pacemaker' nowhere_promoted
    local node
    for node in node1 node2; do
        expect ours "a promote on $node is refused" answers "$node" promote 1 'split' OCF_RESKEY_CRM_meta_timeout=10000
    done
    answer ours "promote: $(reason)"
}

# The peer reconnects, drops the connection again, and takes both sides for good.
promote_in_split_brain_peer() {
    allow_promotion
    expect peer 'a side is promoted although they differ' wait_for 90 somewhere_promoted
    answer both "promoted on $(promoted_on node1), scores $(score_of node1) and $(score_of node2)"
    local begun_on next
    begun_on=$(promoted_on node1)
    next=node1
    [ "$begun_on" != node1 ] || next=node2
    limit=60 on node1 "crm_resource --move --promoted --resource p_drbd-clone --node $next" >/dev/null 2>&1
    expect peer 'and the other one when it is moved there' wait_for 90 is_promoted_on "$next"
    answer both "then on $next"
    on node1 crm_resource --clear --resource p_drbd-clone >/dev/null 2>&1
    expect peer 'still apart' split
}
somewhere_promoted() { [ -n "$(promoted_on node1)" ]; }

recovery_ours() {
    local node
    for node in "$active" "$other"; do
        expect ours "a report on $node" report_names "$node"
        answer ours "report on $node: $divergence KiB"
    done
    # The victim first; it waits for the other one.
    limit=300 on "$other" ocf-san drbd recover r0 --victim "$other" --yes --timeout 240 >"$work/victim" 2>&1 &
    local victim=$!
    sleep 5
    expect ours "a recovery on $active, which is kept" recover "$active"
    expect ours "a recovery on $other, whose writes are thrown away" wait "$victim"
    cat "$work/victim"
    expect ours 'both disks are up to date' wait_for 90 in_sync
    expect ours 'a side is promoted by Pacemaker' wait_for 90 is_sound
    keep_written 1
    expect ours 'nothing acknowledged on the kept side is lost' nothing_lost "$active"
}
# The report says by how many KiB the side has gone its own way, which is what the kernel counts.
report_names() { # NODE
    local oos
    oos=$(on "$1" sed -n 's/.* oos:\([0-9]*\).*/\1/p' /proc/drbd)
    divergence=$oos
    [ "$oos" -gt 0 ] && on "$1" ocf-san drbd report r0 | tee "$work/report" && grep -q "$oos" "$work/report"
}

recover() { limit=300 on "$1" ocf-san drbd recover r0 --victim "$other" --yes --timeout 240; } # NODE

# By hand, in the order of the users' guide.
recovery_peer() {
    local victim survivor
    survivor=$(promoted_on node1)
    [ "$survivor" = node1 ] && victim=node2 || victim=node1
    on "$victim" 'drbdadm disconnect r0; drbdadm connect --discard-my-data r0'
    on "$survivor" 'drbdadm disconnect r0; drbdadm connect r0'
    active=$survivor
    expect peer 'both disks are up to date' wait_for 90 in_sync
    if [ "$survivor" = "$first_side" ]; then keep_written 1; else keep_written 2; fi
    expect peer 'nothing acknowledged on the kept side is lost' nothing_lost "$survivor"
}
