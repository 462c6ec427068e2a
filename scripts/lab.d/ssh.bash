# shellcheck shell=bash disable=SC2154,SC2034 # set and used by scripts/lab
# Sourced by scripts/lab: talking to a guest.
#
# One ssh master connection per guest ($run/NAME.ssh), because a handshake costs a second under TCG.
# It is dead after a reboot without knowing it. Each boot prints a line on the console, so a
# master made before the last of them is dropped.

boot_timeout=180

ssh_options() { # NAME
    options=(
        -F /dev/null -i "$(<"$disks/$1.image")/key" -p "$(<"$run/$1.port")" -o "ControlPath=$run/$1.ssh"
        -o User=root -o HostName=127.0.0.1 -o BatchMode=yes -o IdentitiesOnly=yes -o LogLevel=ERROR
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o KexAlgorithms=curve25519-sha256
        -o ConnectTimeout=5 -o ServerAliveInterval=5 -o ServerAliveCountMax=6
    )
}

boots_seen() { grep -c '^lab: boot' "$run/$1.console" || true; } # NAME

drop_connection() { # NAME
    local options
    [ -S "$run/$1.ssh" ] || return 0
    ssh_options "$1"
    timeout 5 ssh "${options[@]}" -O exit guest >/dev/null 2>&1 || true
    rm -f "$run/$1.ssh"
}

# Makes sure of a connection to the present boot. Bounded; says nothing when it fails.
connect() ( # NAME [SECONDS]
    local options boots
    ssh_options "$1"
    exec 9>"$run/$1.ssh-lock"
    flock 9
    boots=$(boots_seen "$1")
    if [ -S "$run/$1.ssh" ]; then
        [ "$boots" = "$(cat "$run/$1.ssh-boots" 2>/dev/null)" ] &&
            timeout 5 ssh "${options[@]}" -O check guest >/dev/null 2>&1 && return
        drop_connection "$1"
    fi
    timeout "${2:-30}" ssh "${options[@]}" -o ControlMaster=yes -N -f guest </dev/null >/dev/null 2>&1 9>&- || return 255
    echo "$boots" >"$run/$1.ssh-boots"
)

run_in() { # NAME COMMAND [ARG...]
    local name=$1 options command
    shift
    ssh_options "$name"
    connect "$name" || { say "$name does not answer"; return 255; }
    if [ $# = 1 ]; then command=$1; else command=$(printf '%q ' "$@"); fi
    ssh "${options[@]}" -o ControlMaster=no guest "$command"
}

copy() { # NAME SOURCE TARGET
    local options
    ssh_options "$1"
    connect "$1" || die "$1 does not answer" 255
    # scp has its own -p
    scp -q -r -p "${options[@]/#-p/-P}" -o ControlMaster=no "$2" "$3"
}

boot_id() { run_in "$1" cat /proc/sys/kernel/random/boot_id; } # NAME

# Until the guest answers and, if a boot id is given, does so with another one.
wait_for_ssh() { # NAME SECONDS [OLD_BOOT_ID]
    local name=$1 end=$((SECONDS + $2)) old=${3-} id limit
    while is_running "$name" && [ "$SECONDS" -lt "$end" ]; do
        limit=$((end - SECONDS < 30 ? end - SECONDS : 30))
        if connect "$name" "$limit"; then
            [ -n "$old" ] || return 0
            id=$(timeout "$limit" "$here/lab" boot-id "$name" 2>/dev/null) && [ -n "$id" ] && [ "$id" != "$old" ] && return 0
        fi
        sleep 0.5
    done
    return 1
}
