# shellcheck shell=bash disable=SC2119,SC2120,SC2154,SC2034 # set by who sources it
# Sourced by scripts/demo and all that builds its cluster: from nothing to a running cluster with an initiator that writes.

# Not a secret that guards anything, but as every run has its own, none can be copied from here.
secret=$(printf 'demo%04x%04x%04x' "$RANDOM" "$RANDOM" "$RANDOM")

prepare() {
    step 'what building and virtual machines need' bounded 600 "$here/install-deps"
    step 'building ocf-san' bounded 1200 "$here/cargo" binary
    step 'the image of the virtual machines (two minutes the first time)' bounded 900 "$here/lab" image
    if lab status 2>/dev/null | grep -Eq ' (running|frozen) '; then
        die "a lab '$OCF_SAN_LAB' is up already; end it by: OCF_SAN_LAB=$OCF_SAN_LAB scripts/lab down"
    fi
    ours=1
    lab down # disks that an earlier run left
    step 'starting node1, node2 and the initiator' bounded 240 "$here/lab" up node1 node2 ini
}

# Whose resources run is said by STACK, with which time-outs by LIMITS, and whether nodes can be switched off (power-switch.bash) by
# FENCING: the file cib knows which there are. The agents that neither we nor a package install for a stack lie here as STACK-AGENT and become
# ocf:STACK:AGENT.
put_agents() { # GUEST
    local stack=${STACK:-ours} file
    for file in "$parts/$stack"-*; do
        [ -e "$file" ] || continue
        on "$1" mkdir -p "/usr/lib/ocf/resource.d/$stack" && lab put "$1" "$file" "/usr/lib/ocf/resource.d/$stack/${file##*/"$stack"-}" || return 1
    done
}

# The resources are described on the initiator, which has nothing else to do yet and needs the agents' meta-data for it, not a
# cluster.
describe_resources() {
    lab install ini && put_agents ini && lab put ini "$parts/cib" /root/cib &&
        { [ -z "${FENCING-}" ] || lab put ini "$parts/fence_switch" /usr/sbin/fence_switch; } &&
        limit=240 on ini env "STACK=${STACK:-ours}" "LIMITS=${LIMITS:-lab}" "FENCING=${FENCING-}" /root/cib make && lab get ini /root/cib.xml "$work/cib.xml"
}

put_files() {
    local node part
    describe_resources &
    describing=$!
    (umask 077; "$parts/saveconfig" "$secret" >"$work/saveconfig.json") || return 1
    lab put ini "$parts/writer" /root/writer && lab put ini "$parts/initiator" /root/initiator || return 1
    for node in node1 node2; do
        on "$node" mkdir -p /etc/target || return 1
        lab put "$node" "$work/saveconfig.json" /etc/target/saveconfig.json || return 1
        put_agents "$node" || return 1
        [ "${STACK:-ours}" = peer ] || lab put "$node" "$here/../packaging/drbd.d/ocf-san-84.res" /etc/drbd.d/ocf-san-84.res || return 1
        [ -z "${FENCING-}" ] || lab put "$node" "$parts/fence_switch" /usr/sbin/fence_switch || return 1
        for part in node cib; do lab put "$node" "$parts/$part" "/root/$part" || return 1; done
        on "$node" /root/node files "${drbd_disk:-/dev/vdb}" "${STACK:-ours}" || return 1
        ! declare -F more_files >/dev/null || more_files "$node" || return 1 # what the script needs beyond that
    done
}

drbd_and_lvm() {
    together 'on node1 /root/node drbd' 'on node2 /root/node drbd' || return 1
    limit=90 on node1 /root/node fill || return 1
    together 'on node1 /root/node down' 'on node2 /root/node down'
}

# On a starved emulated processor loading LIO's modules takes more than the half of 10 s that a start gives it, and a start that has
# failed keeps the group off the node. So they are loaded before.
start_cluster_on() { limit=120 on "$1" 'modprobe -a iscsi_target_mod target_core_iblock && /root/node below && systemctl start corosync pacemaker'; }
form_cluster() {
    together 'start_cluster_on node1' 'start_cluster_on node2' || return 1
    wait_for 120 both_online || return 1
    wait "$describing"
}
both_online() { on node1 crm_mon -1 2>/dev/null | grep -q 'Online:.* node1 node2 '; }

run_resources() {
    lab put node2 "$work/cib.xml" /root/cib.xml || return 1
    on node2 /root/cib load || return 1
    wait_for 240 all_is_well node2
}

# The group runs, on one of the nodes; both disks are up to date.
all_is_well() { [ -n "$(group_is_on "$1")" ] && in_sync "$1"; } # NODE-TO-ASK
group_is_on() { on "$1" crm_resource --locate --resource p_vip 2>/dev/null | sed -n 's/.* running on: \(node[12]\).*/\1/p'; }
# Sets $active and $other to where the group runs.
find_active() {
    local now
    now=$(group_is_on node1)
    [ -n "$now" ] || return 1
    active=$now
    [ "$active" = node1 ] && other=node2 || other=node1
}
# Both are online, the group runs on one and is promoted there, the other one is unpromoted, and no constraint is of anybody's making. Sets
# $active, $other, and $cluster to what was said. In few commands, because each takes a guest seconds.
is_joined() {
    local of_two now two
    exec {two}< <(on node2 crm_mon -1)
    cluster=$(on node1 'crm_mon -1A || exit; cat /proc/drbd 2>/dev/null; cibadmin -Q --scope constraints') || cluster=''
    of_two=$(cat <&"$two")
    exec {two}<&-
    [[ $cluster == *'Online: [ node1 node2 ]'* && $of_two == *'Online: [ node1 node2 ]'* ]] || return 1
    now=$(sed -n 's/.*p_vip.* Started \(node[12]\).*/\1/p' <<<"$cluster")
    [ -n "$now" ] || return 1
    active=$now
    [ "$active" = node1 ] && other=node2 || other=node1
    [[ $cluster == *"Promoted: [ $active ]"* && $cluster == *"Unpromoted: [ $other ]"* ]] && ! grep -Eq '"cli-|drbd-fence-by-handler' <<<"$cluster"
}
# In what is_joined has seen: both disks are up to date, and both sides have a promotion score.
could_change_sides() { [[ $(grep -c 'master-p_drbd' <<<"$cluster") = 2 && $cluster == *ds:UpToDate/UpToDate* ]]; }
in_sync() { on "$1" grep -q 'ds:UpToDate/UpToDate' /proc/drbd; }

build_cluster() {
    step 'installing ocf-san on both nodes' bounded 120 "$here/lab" install node1 node2
    step 'configuration: DRBD, LVM, corosync, saveconfig.json' put_files
    step 'DRBD over the replication LAN, a volume group with four LVs' drbd_and_lvm
    step 'corosync and pacemaker on two rings, resources by pcs' form_cluster
    case ${STACK:-ours} in
        ours) step 'starting ocf:san:DRBD-helper, cLVM, LIO and VIP' run_resources ;;
        *) step "starting the resources of the stack '$STACK'" run_resources ;;
    esac
    active=$(group_is_on node2)
    [ "$active" = node1 ] && other=node2 || other=node1
    say "the group runs on $active"
}

log_in() { limit=90 on ini /root/initiator login "$secret" "$@"; } # [PING-SECONDS]
log_in_and_write() { log_in && limit=90 on ini /root/initiator write; }
start_writing() {
    step 'initiator logs in with CHAP, writes and checks two LUNs' log_in_and_write
    sleep 3
}
