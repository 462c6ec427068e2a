# shellcheck shell=bash disable=SC2030,SC2031,SC2154 # set by scripts/test
# Sourced by scripts/test: what runs in guests.

to_try_again=() # "KERNEL PROGRAM TEST" or "- scenario NAME": what failed, until all else is over
second_tries=() # what passed only then
declare -A reached # by test program: how many of its tests a guest was to run

left_to_all=0 # tests of which only --all runs more than the core

# Builds the test programs, which are static, and puts them at $logs/bin: lib, guard, vip, vm_lio, vm_clvm, vm_drbd; vip_peer,
# vm_clvm_peer and vm_drbd_peer, which are the same against the agents that ours take the place of; vm_lio_core, vm_clvm_core and
# vm_drbd_core, which are what loses data, or fails over for nothing, when it breaks; vm_lio_part and vm_clvm_part, which are what may
# differ between kernels; vip_left, which is what could not run without a guest.
guest_tests_binaries() {
    local log=$logs/build of path
    say "running  test programs for the guests"
    if ! timeout -k 10 900 scripts/cargo test --no-run --locked >"$log" 2>&1; then
        tail -n 40 "$log"
        miss 'test programs for the guests' 'do not build'
        return 1
    fi
    mkdir -p "$logs/bin"
    while read -r of path; do
        case $of in
            src/lib.rs) strip -o "$logs/bin/lib" "$path" ;;
            tests/guard/main.rs) strip -o "$logs/bin/guard" "$path" ;;
            tests/vip/main.rs) strip -o "$logs/bin/vip" "$path" ;;
            tests/vm_lio.rs) strip -o "$logs/bin/vm_lio" "$path" ;;
            tests/vm_clvm/main.rs) strip -o "$logs/bin/vm_clvm" "$path" ;;
            tests/vm_drbd/main.rs) strip -o "$logs/bin/vm_drbd" "$path" ;;
        esac
    done < <(sed -n 's/^ *Executable \(unittests \)\?\([^ ]*\) (\(.*\))$/\2 \3/p' "$log")
    printf '#!/bin/sh\nOCF_UNDER_TEST=peer exec /root/vip "$@"\n' >"$logs/bin/vip_peer"
    printf '#!/bin/sh\nOCF_UNDER_TEST=peer exec /root/vm_clvm "$@" both::defects both::loss both::older both::owners\n' >"$logs/bin/vm_clvm_peer"
    printf '#!/bin/sh\nOCF_UNDER_TEST=peer exec /root/vm_drbd "$@" both::\n' >"$logs/bin/vm_drbd_peer"
    printf '#!/bin/sh\nexec /root/vm_clvm "$@" both::defects both::loss both::owners ours::modes ours::shared ocf_tester\n' \
        >"$logs/bin/vm_clvm_core"
    printf '#!/bin/sh\nexec /root/vm_drbd "$@" both::defects ours::cold_start ours::guard ours::promoting ours::stopping ours::stuck ocf_tester\n' \
        >"$logs/bin/vm_drbd_core"
    printf '#!/bin/sh\nexec /root/vm_lio "$@" --skip the_replaced_way vm::build vm::hang vm::ownership vm::reservations vm::rollback vm::stop\n' >"$logs/bin/vm_lio_core"
    printf '#!/bin/sh\nexec /root/vip "$@" --exact %s\n' "${left_by_vip[*]}" >"$logs/bin/vip_left"
    printf '#!/bin/sh\nexec /root/vm_clvm "$@" both::loss\n' >"$logs/bin/vm_clvm_part"
    printf '#!/bin/sh\nexec /root/vm_lio "$@" vm::build\n' >"$logs/bin/vm_lio_part"
    chmod +x "$logs/bin"/*_peer "$logs/bin"/*_part "$logs/bin"/*_core "$logs/bin"/*_left
}

guest() { timeout "$1" scripts/lab run solo "${@:2}" </dev/null; } # SECONDS COMMAND...

# Ignored tests that no guest was asked to run.
left_out() {
    local part left=${ignored:-0}
    for part in "${!reached[@]}"; do left=$((left - reached["$part"])); done
    [ "$left" -le 0 ] && return
    failed=$((failed + left))
    failures+=("$left ignored tests were run nowhere")
}

# Runs test programs in a guest. Whatever was expected and did not say "ok" has failed.
suite_on() { # KERNEL PROCESSORS PROGRAM...
    local kernel=$1 part
    local -x LAB_CPUS=$2
    shift 2
    if ! check "a guest with Linux $kernel" 900 env "LAB_KERNEL=$kernel" scripts/test.d/fresh-guest "$logs/bin"; then
        for part; do miss "$part on Linux $kernel" 'no guest'; done
        return
    fi
    for part; do guest_suite "$kernel" "$part"; done
}

guest_suite() { # KERNEL PROGRAM
    local name="$2 on Linux $1" log=$logs/suite options='--ignored --test-threads=1' expected good_ones since=$SECONDS bad
    # In namespaces of their own they do not meet, and most of them wait.
    case $2 in
        vip* | vm_clvm* | vm_drbd*) options='--ignored --test-threads=4' ;;
    esac
    expected=$(guest 60 "/root/$2 $options --list 2>/dev/null" | grep -c ': test$')
    say "running  $name: $expected tests"
    # Each test as it ends, with the whole output kept for when it fails.
    guest 2000 "cd /root && RUST_BACKTRACE=0 timeout -s KILL 1980 ./$2 $options 2>&1" | tee "$log" | grep --line-buffered '^test '
    good_ones=$(grep -c '^test .* ok$' "$log")
    mapfile -t bad < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log")
    [ "${#bad[@]}" = 0 ] || awk '/^---- /, /^failures:$/' "$log" | head -n 400
    put_off "$1" "${2%_left}" "${bad[@]}"
    case $2 in
        # The others ran without a guest too.
        vip | vip_left) reached[vip]=$((expected < ${#left_by_vip[@]} ? expected : ${#left_by_vip[@]})) ;;
        *_peer | *_part) ;;
        *_core)
            reached["${2%_core}"]=$(guest 60 "/root/${2%_core} --ignored --list 2>/dev/null" | grep -c ': test$')
            left_to_all=$((left_to_all + reached["${2%_core}"] - expected))
            ;;
        *) reached["$2"]=$expected ;;
    esac
    [ "$good_ones" = 0 ] || good "$name" $((SECONDS - since)) "$good_ones"
    expected=$((expected - put_off))
    if [ "$good_ones" -lt "$expected" ] || [ "$((expected + put_off))" = 0 ]; then
        failed=$((failed + (expected > good_ones ? expected - good_ones : 1)))
        failures+=("$name: $good_ones of $expected: ${bad[*]}")
    fi
}

# Leaves what failed for a second try, unless it is so much that the machine can not be what is to blame. Sets $put_off, how many, and
# leaves in $bad those that have failed for good.
put_off() { # KERNEL PROGRAM TEST...
    local test
    put_off=0
    { [ $# -gt 2 ] && [ $# -le 10 ]; } || return
    for test in "${@:3}"; do to_try_again+=("$1 $2 $test"); done
    put_off=$(($# - 2))
    bad=()
}

# Tries what failed once more, when nothing else runs any more: a fresh guest for each kernel and program.
try_again() {
    local kernel program test guest_of='' cpus since log=$logs/again
    [ ${#to_try_again[@]} -gt 0 ] || return
    while read -r kernel program test; do
        since=$SECONDS
        if [ "$program" = scenario ]; then
            guest_of=''
            check "a fresh guest for $test" 900 env LAB_KERNEL=6.1 LAB_CPUS=1 scripts/test.d/fresh-guest "$logs/bin" &&
                check "$test, once more" 300 "scripts/test.d/scenario-$test" && second_tries+=("$test")
            continue
        fi
        case $program in
            vm_lio* | lib) cpus=1 ;;
            *) cpus=2 ;;
        esac
        if [ "$guest_of" != "$kernel $program" ]; then
            check "a fresh guest for second tries of $program" 900 \
                env "LAB_KERNEL=$kernel" "LAB_CPUS=$cpus" scripts/test.d/fresh-guest "$logs/bin" && guest_of="$kernel $program"
        fi
        if guest 300 "cd /root && RUST_BACKTRACE=0 timeout -s KILL 280 ./$program --ignored --exact '$test' 2>&1" >"$log" &&
            grep -q '^test .* ok$' "$log"; then
            good "$test on Linux $kernel, at the second try" $((SECONDS - since))
            second_tries+=("$test on Linux $kernel")
        else
            awk '/^---- /, /^failures:$/' "$log" | head -n 100
            miss "$test on Linux $kernel" 'failed twice'
        fi
    done < <(printf '%s\n' "${to_try_again[@]}" | sort)
}

# What only shows from outside the guest: that it reboots, and that it does not.
outside() {
    local scenario
    for scenario in scripts/test.d/scenario-*; do
        first_try "${scenario##*/scenario-}" 300 "$scenario" || to_try_again+=("- scenario ${scenario##*/scenario-}")
    done
}

# The cases that matter most on a whole cluster; one that is red gets a second try on a cluster of its own.
drill_core() {
    local core=() red=() name why
    mapfile -t core < <(scripts/drill --list | awk '$3 == "core" { print $1 }')
    name="drill: ${core[*]}"
    first_try "$name" 2700 scripts/drill --json "$logs/drill.json" core && return
    mapfile -t red < <(scripts/drill.d/report.py red "$logs/drill.json" "${core[@]}")
    if [ "${#red[@]}" = 0 ] || [ "${#red[@]}" -gt 2 ]; then
        miss "$name" "$why"
    elif check "drill ${red[*]}, once more" 1200 scripts/drill "${red[@]}"; then
        second_tries+=("drill ${red[*]}")
    fi
}

# Runs a function beside the rest, in a lab and with files of its own; `together` waits for it and adds what it counted.
beside() { # FUNCTION
    (
        export OCF_SAN_LAB=$OCF_SAN_LAB-b
        passed=0 failed=0 failures=() to_try_again=() reached=() left_to_all=0
        logs=$logs/beside
        mkdir "$logs" && ln -s ../bin "$logs/bin" && "$1"
        timeout 60 scripts/lab down
        {
            printf 'passed %s\nfailed %s\nleft %s\n' "$passed" "$failed" "$left_to_all"
            [ ${#failures[@]} = 0 ] || printf 'failure %s\n' "${failures[@]}"
            [ ${#to_try_again[@]} = 0 ] || printf 'again %s\n' "${to_try_again[@]}"
            for part in "${!reached[@]}"; do printf 'reached %s %s\n' "$part" "${reached["$part"]}"; done
            echo 'end'
        } >"$logs/counted"
    ) &
    beside=$!
}

together() {
    local what value has_ended=
    wait "$beside"
    beside=
    while read -r what value; do
        case $what in
            passed) passed=$((passed + value)) ;;
            failed) failed=$((failed + value)) ;;
            left) left_to_all=$((left_to_all + value)) ;;
            failure) failures+=("$value") ;;
            again) to_try_again+=("$value") ;;
            reached) reached["${value% *}"]=${value#* } ;;
            end) has_ended=yes ;;
        esac
    done <"$logs/beside/counted"
    [ "$has_ended" ] || miss 'the tests beside the others' 'did not come to their end'
}
