# shellcheck shell=bash disable=SC2154 # set by drbd-two-nodes
# Sourced by drbd-two-nodes: during a move from the shell handlers, one side's constraint is taken away by the other's handler.

play_mixed() {
    # Where ours are not installed there is nothing to mix.
    [ "$contestant" = ours ] || return 0
    local policy
    for policy in theirs-then-ours ours-then-theirs; do
        settings fencing=resource-only "handlers=$policy" || die "no handlers $policy"
        start_writer "$active"
        link_is_cut "$policy"
        link_is_healed "$policy"
    done
}
