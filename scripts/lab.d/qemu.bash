# shellcheck shell=bash disable=SC2154,SC2054 # set by scripts/lab; commas belong to QEMU's options
# Sourced by scripts/lab: the guests and the hub as processes of the host.

guests=(node1 node2 ini solo)
declare -A number=([node1]=11 [node2]=12 [ini]=20 [solo]=30) # last part of every address

need_qemu() {
    local version
    command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing (scripts/install-deps)"
    version=$(qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    printf '7.2\n%s\n' "$version" | sort -CV || die "QEMU 7.2 or newer is needed, found $version"
}

make_run_directory() {
    mkdir -p "$disks"
    mkdir -m 0700 "$run" 2>/dev/null || true
    [[ -d $run && ! -L $run && -O $run ]] || die "$run is not a directory of ours"
}

# --- processes: known by the pid that this lab wrote down, and proved by an argument only ours has ---

is_process() { # PIDFILE ARGUMENT
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -Fxq -- "$2"
}
is_running() { is_process "$run/$1.pid" "$run/$1.pid"; } # NAME
is_hub_running() { is_process "$run/hub.pid" "$run"; }

gone_within() { # SECONDS PIDFILE ARGUMENT
    local tries=$(($1 * 20))
    while is_process "$2" "$3"; do
        [ $((tries--)) -gt 0 ] || return 1
        sleep 0.05
    done
}

end_process() { # PIDFILE ARGUMENT
    is_process "$1" "$2" && kill -TERM "$(<"$1")" 2>/dev/null
    gone_within 5 "$1" "$2" || kill -KILL "$(<"$1")" 2>/dev/null || true
    gone_within 5 "$1" "$2" || die "process $(<"$1") does not end"
}

start_hub() {
    setsid "$parts/hub" serve "$run" "${guests[@]}" </dev/null >"$run/hub.log" 2>&1 9>&- &
    echo $! >"$run/hub.pid"
    local tries=100
    until [ -S "$run/hub.control" ] && ask_hub faults >/dev/null 2>&1; do
        [ $((tries--)) -gt 0 ] || die "the hub does not start: $(tail -n 1 "$run/hub.log")"
        sleep 0.1
    done
}
end_hub() { end_process "$run/hub.pid" "$run"; }
ask_hub() { "$parts/hub" ask "$run" "$@"; }

monitor() { "$parts/monitor" "$run/$1.qmp" "${@:2}"; } # NAME COMMAND [KEY=VALUE...]

end_guest() { # NAME
    if is_running "$1"; then
        monitor "$1" quit 2>/dev/null || true
        gone_within 5 "$run/$1.pid" "$run/$1.pid" || end_process "$run/$1.pid" "$run/$1.pid"
    fi
    drop_connection "$1"
    rm -f "$run/$1.pid"
}

# --- a guest -----------------------------------------------------------------------------------

# A disk of zeros that takes no room, unless it is there already.
need_disk() { # FILE SIZE
    [ -e "$1" ] || truncate --size="$2" "$1"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_guest() { # NAME kvm|tcg
    local name=$1 n=${number[$1]} kernel=${LAB_KERNEL:-6.1} cpus=${LAB_CPUS:-1} memory=${LAB_MEM:-1G}
    local base lan accel=(-accel kvm -cpu host) arguments
    [[ $cpus =~ ^[1-9][0-9]?$ ]] || bad "LAB_CPUS '$cpus' is not a number of processors"
    [[ $memory =~ ^[1-9][0-9]*[MG]$ ]] || bad "LAB_MEM '$memory' is not a size such as 768M or 2G"
    # The root disk stays with the image that it was made from.
    if [ ! -e "$disks/$name.image" ]; then
        qemu-img create -q -f qcow2 -F qcow2 -b "$image/disk.qcow2" "$disks/$name.qcow2"
        echo "$image" >"$disks/$name.image"
    fi
    base=$(<"$disks/$name.image")
    [ -e "$base/kernel-$kernel" ] || bad "LAB_KERNEL '$kernel': the image has $(cd "$base" && echo kernel-*)"
    [ "$2" = kvm ] || accel=(-accel tcg,thread=multi,tb-size=256 -cpu max)
    need_disk "$disks/$name-data.raw" 2G
    arguments=(
        -name "$name" -nodefaults -no-user-config -display none -machine pc "${accel[@]}"
        -smp "$cpus" -m "$memory" -device virtio-rng-pci
        -kernel "$base/kernel-$kernel" -initrd "$base/initrd-$kernel"
        -append "console=ttyS0 quiet loglevel=5 panic=10 net.ifnames=0 mitigations=off audit=0 \
systemd.hostname=$name systemd.machine_id=$(printf '%032x' "$n") systemd.show_status=no \
lab.lan=10.110.88.$n/26 lab.repl=10.110.89.$n/24"
        -chardev "file,id=console,path=$run/$name.console,append=on" -serial chardev:console
        -qmp "unix:$run/$name.qmp,server=on,wait=off" -daemonize -pidfile "$run/$name.pid"
        # Only a raw disk may skip the host's fsync: what QEMU itself keeps of a qcow2 must survive its end.
        -drive "if=none,id=root,file=$disks/$name.qcow2,format=qcow2,cache=writeback"
        -device virtio-blk-pci,drive=root
        -drive "if=none,id=data,file=$disks/$name-data.raw,format=raw,cache=unsafe,discard=unmap"
        -device virtio-blk-pci,drive=data,serial=data
    )
    if [[ $name == node* ]]; then
        need_disk "$disks/shared.raw" 1G
        arguments+=(
            -drive "if=none,id=shared,file=$disks/shared.raw,format=raw,cache=unsafe,file.locking=off"
            -device virtio-blk-pci,drive=shared,serial=shared,share-rw=on
        )
    fi
    for lan in lan:01 repl:02; do
        arguments+=(
            -netdev "dgram,id=${lan%:*},local.type=unix,local.path=$run/$name-${lan%:*}.guest,remote.type=unix,remote.path=$run/$name-${lan%:*}.hub"
            -device "virtio-net-pci,netdev=${lan%:*},mac=52:54:00:00:${lan#*:}:$n,romfile="
        )
    done
    echo "$kernel" >"$run/$name.kernel"
    start_qemu "$name" "$n" "${arguments[@]}"
}

# The ssh port is free when chosen, but another program may take it before QEMU does: then the next one.
start_qemu() { # NAME NUMBER ARGUMENTS...
    local name=$1 n=$2 try port
    shift 2
    for try in 1 2 3; do
        port=$(free_port)
        echo "$port" >"$run/$name.port"
        qemu-system-x86_64 "$@" \
            -netdev "user,id=mgmt,restrict=on,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:22" \
            -device "virtio-net-pci,netdev=mgmt,mac=52:54:00:00:00:$n,romfile=" \
            9>&- 2>"$run/$name.qemu-log" && return
        grep -q 'host forwarding rule' "$run/$name.qemu-log" || break
    done
    die "$name: QEMU does not start (try $try): $(cat "$run/$name.qemu-log")"
}

# --- the accelerator -----------------------------------------------------------------------------

# /dev/kvm may be there and not work: the guest then stands still before its first line. So a bare
# kernel is booted under it, once per boot of the host. It has no root disk, panics, and ends QEMU.
accelerator() {
    local boot known console verdict=tcg
    if [ -n "${LAB_ACCEL-}" ]; then
        [[ $LAB_ACCEL == kvm || $LAB_ACCEL == tcg ]] || bad "LAB_ACCEL '$LAB_ACCEL': kvm or tcg"
        echo "$LAB_ACCEL"
        return
    fi
    boot=$(</proc/sys/kernel/random/boot_id)
    known=$(cat "$cache/accel" 2>/dev/null) || known=
    if [ "${known% *}" = "$boot" ]; then
        echo "${known#* }"
        return
    fi
    if [ -w /dev/kvm ]; then
        console=$(timeout --kill-after=1 10 qemu-system-x86_64 -nodefaults -no-user-config -display none \
            -machine pc -accel kvm -cpu host -m 256M -no-reboot -serial stdio -kernel "$image/kernel-6.1" \
            -append 'console=ttyS0 panic=-1' </dev/null 2>/dev/null) || true
        [[ $console != *'Kernel panic'* ]] || verdict=kvm
    fi
    echo "$boot $verdict" >"$cache/accel"
    echo "$verdict"
}
