# shellcheck shell=bash disable=SC2016,SC2154,SC2034 # set by scripts/bench switchover
# Sourced by scripts/bench switchover: the cluster, and whose resources it has.

stack='' # whose they are now
floor_agent='' # the program

build() {
    prepare
    step 'building the agent that does nothing' bounded 1200 "$here/cargo" build --release --locked --example floor_agent
    floor_agent=$here/../target/$(rustc -vV | sed -n 's/^host: //p')/release/examples/floor_agent
    step 'installing ocf-san on both nodes' bounded 120 "$here/lab" install node1 node2
    step 'configuration: DRBD, LVM, corosync, saveconfig.json' put_files
    step 'the agents of all contestants' put_all_agents node1 node2
    step 'DRBD over the replication LAN, a volume group with four LVs' drbd_and_lvm
    step 'all resources, described by pcs' wait "$describing"
    step 'corosync and pacemaker on two rings' form_cluster
    step 'what runs there' note_facts
}

# What node1 and node2 have beside the files of the demo.
more_files() { # NODE
    [ -z "$consensus" ] || on "$1" "sed -i 's/^    token: .*/&\\n    consensus: $consensus/' /etc/corosync/corosync.conf"
}

put_all_agents() { # GUEST...
    local who guest
    for guest; do
        for who in "${contestants[@]}"; do
            if [ "$who" = floor ]; then
                on "$guest" mkdir -p /usr/lib/ocf/resource.d/floor && lab put "$guest" "$floor_agent" /usr/lib/ocf/resource.d/floor/nothing || return 1
            else
                STACK=$who put_agents "$guest" || return 1
            fi
        done
    done
}

# In the place of that of scripts/demo, which describes one stack.
describe_resources() {
    local who
    lab install ini && put_all_agents ini && lab put ini "$parts/cib" /root/cib || return 1
    for who in "${contestants[@]}"; do
        limit=240 on ini env "STACK=$who" /root/cib make && lab get ini /root/cib.xml "$work/cib-$who.xml" || return 1
    done
}

# As KEY VALUE, a line each; the time-outs in milliseconds.
note_facts() {
    on node1 'echo "kernel $(uname -r)"; echo "cpus $(nproc)"
        for package in pacemaker corosync drbd-utils resource-agents; do echo "$package $(dpkg-query -W -f "\${Version}" $package)"; done
        for key in token consensus; do echo "$key $(corosync-cmapctl -g runtime.config.totem.$key | sed "s/.*= //")"; done' >"$work/facts" || return 1
    echo "accel $(lab accel)" >>"$work/facts"
}

change_to() { # WHO
    [ "$1" != "$stack" ] || return 0
    [ -z "$stack" ] || step "$stack: everything acknowledged is read back, then all is stopped and taken out" leave
    stack=$1
    step "$stack: its resources" enter
}

leave() {
    stop_writing || return 1
    on node1 crm_attribute -n stop-all-resources -v true || return 1
    wait_for 600 nothing_runs || return 1
    on node1 "cibadmin --replace --scope constraints --xml-text '<constraints/>' && cibadmin --replace --scope resources --xml-text '<resources/>'" ||
        return 1
    wait_for 120 nothing_remembered || return 1
    # Promotion scores of one stack must not speak in another.
    on node1 'for node in node1 node2; do crm_attribute -l reboot -N $node -n master-p_drbd -D; done; crm_attribute -n stop-all-resources -D'
}
nothing_runs() {
    local said
    said=$(on node1 crm_mon -1) && [[ $said == *'No active resources'* ]]
}
# Pacemaker has deleted the history of resources that are gone, so that the next stack's of the same names begin without one.
nothing_remembered() {
    local said
    said=$(on node1 cibadmin -Q --scope status) && [[ $said != *'<lrm_resource '* ]]
}

enter() {
    local node
    for node in node1 node2; do
        [ "$stack" != floor ] || break
        if [ "$stack" = peer ]; then
            on "$node" rm -f /etc/drbd.d/ocf-san-84.res || return 1
        else
            lab put "$node" "$here/../packaging/drbd.d/ocf-san-84.res" /etc/drbd.d/ocf-san-84.res || return 1
        fi
        on "$node" /root/node files /dev/vdb "$stack" && more_files "$node" || return 1
    done
    lab put node1 "$work/cib-$stack.xml" /root/cib.xml && on node1 /root/cib load && wait_for 700 is_whole || return 1
    [ "$stack" = floor ] || log_in_and_write || return 1
    sleep 10
}

stop_writing() {
    local verified
    [ "$stack" != floor ] || return 0
    verified=$(writer_limit=600 writer verify-all)
    if [ "$(value "$verified" lost)" != 0 ]; then
        echo "$stack: not all that was acknowledged is there: $verified" | tee -a "$work/failures"
        return 1
    fi
    writer end && on ini /root/initiator logout
}
writer() { limit=${writer_limit:-150} on ini /root/writer "$1"; } # WORD

is_dc() { [[ $(on "$1" crm_mon -1) == *"Current DC: $1 "* ]]; } # NODE

is_whole() { is_joined && { [ "$stack" = floor ] || could_change_sides; }; }
