# shellcheck shell=bash disable=SC2154,SC2034 # set and used by scripts/test
# Sourced by scripts/test: running things bounded in time, and counting.

say() { printf '%s\n' "$*"; }

good() { # NAME SECONDS [PASSED]
    passed=$((passed + ${3:-1}))
    say "ok       $1${3:+: $3 passed} ($2 s)"
}

miss() { # NAME WHY
    failed=$((failed + 1))
    failures+=("$1: $2")
    say "FAILED   $1: $2"
}

# Runs a command; its output is shown only when it fails.
check() { # NAME SECONDS COMMAND...
    local why
    first_try "$@" && return
    miss "$1" "$why"
    return 1
}

# The same, but that it fails is not counted yet: sets $why.
first_try() { # NAME SECONDS COMMAND...
    local name=$1 limit=$2 since=$SECONDS log=$logs/check code
    shift 2
    say "running  $name"
    timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
    code=$?
    if [ "$code" = 0 ]; then
        good "$name" $((SECONDS - since))
        return
    fi
    tail -n 60 "$log"
    [ "$code" != 124 ] || say "no end within $limit s"
    why="exit code $code after $((SECONDS - since)) s"
    return 1
}

sum() { awk -v word="$1" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i == word ";") n += $(i - 1) } END { print n + 0 }' "$2"; }

# Runs `cargo test` and counts what the test programs counted. Sets $ignored, and ${left_by_vip[@]}: which of these are scenarios of the
# virtual address that need more than namespaces, or all of them where no namespace can be made.
rust_tests() { # NAME SECONDS COMMAND...
    local name=$1 limit=$2 since=$SECONDS log=$logs/rust code good_ones bad_ones
    shift 2
    say "running  $name"
    timeout -k 10 "$limit" "$@" --no-fail-fast >"$log" 2>&1 </dev/null
    code=$?
    good_ones=$(sum passed "$log") bad_ones=$(sum failed "$log") ignored=$(sum ignored "$log")
    mapfile -t left_by_vip < <(awk '/^ *Running / { vip = /tests\/vip\// } vip' "$log" | sed -n 's/^test \(.*\) \.\.\. ignored$/\1/p')
    grep '^no network namespace can be made here' "$log"
    [ "$good_ones" = 0 ] || good "$name" $((SECONDS - since)) "$good_ones"
    if [ "$bad_ones" -gt 0 ]; then
        awk '/^---- /, /^test result:/' "$log" | head -n 200
        failed=$((failed + bad_ones))
        failures+=("$name: $bad_ones: $(awk '/^test .*FAILED$/ { print $2 }' "$log" | tr '\n' ' ')")
    elif [ "$code" != 0 ]; then
        tail -n 60 "$log"
        miss "$name" "exit code $code"
    fi
}

# The scenarios of the virtual address against IPaddr2, which proves that they are right. Sets $peer_is_left where that can not be had.
peer_here() {
    local log=$logs/peer program code since=$SECONDS
    say "running  the scenarios of the virtual address against IPaddr2"
    program=$(scripts/cargo test --locked --no-run --test vip 2>&1 | sed -n 's/^ *Executable tests.vip.main\.rs (\(.*\))$/\1/p')
    timeout -k 10 400 scripts/test.d/peer "$program" >"$log" 2>&1 </dev/null
    code=$?
    case $code in
        0) good 'the scenarios of the virtual address against IPaddr2' $((SECONDS - since)) "$(sum passed "$log")" ;;
        77)
            peer_is_left=yes
            say "left to the guests: $(tail -n 1 "$log")"
            ;;
        *)
            awk '/^---- /, /^test result:/' "$log" | head -n 100
            miss 'the scenarios of the virtual address against IPaddr2' "exit code $code"
            ;;
    esac
}

summary() {
    local failure
    say
    for failure in "${failures[@]}"; do say "failed: $failure"; done
    for failure in "${second_tries[@]}"; do say "needed a second try: $failure"; done
    [ "${left_to_all:-0}" = 0 ] || [ -n "$all" ] || say "$left_to_all tests in guests were left to --all, and what --help says of it"
    [ -z "$fast" ] || say "--fast: ${ignored:-all} tests were left to the guests"
    say "took $((SECONDS - begun)) s"
    say "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}
