//! The VIP agent in network namespaces: two nodes and a client on a bridge, real packets, real sockets, no machine's own network.
//!
//! Each scenario is a process in fresh network and mount namespaces with a /run of its own; where this is not root, all of it is in a
//! user namespace. `OCF_UNDER_TEST=peer` runs the same scenarios against `ocf:heartbeat:IPaddr2` and checks its answers, which proves
//! that the scenarios are right. The answers recorded are those of resource-agents 4.12 (Debian 12).
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, reason = "tests, without libtest")]
#![expect(clippy::disallowed_methods, reason = "runs the agent and iproute2")]
#![allow(clippy::wildcard_imports, clippy::must_use_candidate, clippy::missing_panics_doc, reason = "parts of one test program")]

#[path = "../script/mod.rs"]
mod script;

mod announce;
mod answers;
mod bad_input;
mod call;
mod changes;
mod defects;
mod duplicate;
mod features;
mod lasting;
mod link;
mod lookup;
mod records;
mod run;
mod sockets;
mod testers;
mod tickle;
mod wire;
mod world;

use std::process::ExitCode;

/// Against whom a scenario can be run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Ours and the peer.
    Both,
    /// Ours; the peer has nothing like it.
    Ours,
}

/// What a scenario needs beyond namespaces. Where it is missing, the scenario is left to the guests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing more.
    Nothing,
    /// The kernel's bonding driver.
    Bonding,
    /// An installed agent, and ocf-tester.
    OcfTester,
}

/// A scenario.
pub struct Case {
    /// A sentence.
    pub name: &'static str,
    /// What is done; panics when it is not as it should be.
    pub run: fn(),
    /// Against whom.
    pub of: Of,
    /// What for.
    pub needs: Needs,
}

macro_rules! cases {
    ($of:ident $needs:ident $module:ident: $($name:ident),* $(,)?) => {
        &[$($crate::Case { name: stringify!($name), run: $module::$name, of: $crate::Of::$of, needs: $crate::Needs::$needs }),*]
    };
}

#[rustfmt::skip]
const CASES: &[&[Case]] = &[
    cases![Both Nothing answers:
        address_there_and_right,
        address_absent,
        nic_missing,
        no_route_to_find_the_nic_from,
        link_down_with_the_address,
        link_down_without_the_address,
        label_other_than_asked_for,
        address_with_another_prefix,
        address_on_another_nic,
        namespace_missing,
        namespace_missing_although_nic_and_mask_are_given,
        label_too_long,
        arp_count_zero,
        arp_interval_zero,
        preferred_lft_empty,
        address_that_is_none,
        v6_duplicate_of_another_host,
        v6_duplicate_that_is_already_there,
        v4_duplicate_of_another_host,
    ],
    cases![Both Nothing defects:
        a_stop_without_a_route_takes_the_address_away,
        an_altname_hides_no_missing_carrier,
        nothing_is_announced_after_a_stop,
        v6_with_a_label_starts,
        a_stop_with_broken_parameters_succeeds,
        a_link_that_needs_a_second_is_waited_for,
        secondaries_stay_when_a_primary_stops,
        an_unrelated_dadfailed_address_hurts_nobody,
        a_failed_start_leaves_no_address,
        nobody_is_kept_waiting_by_the_announcing,
    ],
    cases![Both Nothing lookup:
        v4_normal_life,
        v6_normal_life,
        v4_nic_without_mask,
        v4_nic_and_mask,
        v4_mask_without_nic,
        v4_no_network_fits,
        v4_nic_without_a_network,
        v4_shorter_mask_than_the_network_and_no_nic,
        v4_nic_and_mask_by_force,
        v4_longer_mask_and_no_nic,
        v4_no_base_address,
        v6_no_network_fits,
        v6_link_local_without_nic,
        v6_link_local_with_nic,
        v6_nic_without_a_network,
        v6_other_masks_without_nic,
        v6_nic_and_mask_by_force,
        unknown_action,
        the_longest_prefix_is_taken_before_the_metric,
        of_equal_prefixes_the_least_metric_is_taken,
        a_default_route_says_nothing,
        a_route_of_another_protocol_is_passed_over,
        a_dotted_mask_is_a_mask,
        broadcast_in_every_form,
    ],
    cases![Both Nothing features:
        label_is_set,
        deprecated_nic_with_a_label_is_understood,
        noprefixroute_adds_no_route,
        v6_is_no_source_address,
        preferred_lft_is_set,
        another_spelling_of_a_v6_address_is_the_same_address,
    ],
    cases![Ours Nothing features:
        altname_is_a_name_and_announces,
        nodad_does_not_wait,
        metric_is_that_of_the_route,
        another_namespace_is_entered,
        netmask_is_an_alias,
        obsolete_parameters_are_accepted_with_a_warning,
        start_brings_the_link_up,
        the_state_is_private_to_the_instance,
        what_may_change_is_reloadable,
        reload_agent_leaves_the_address_alone,
        a_clone_is_refused_by_start_alone,
    ],
    cases![Ours Nothing bad_input:
        each_wrong_parameter_is_refused_everywhere,
        each_local_fault_is_found_by_start_and_a_deep_validation,
        without_privilege_nothing_happens,
        an_address_on_another_nic_is_not_moved,
        an_address_with_another_prefix_is_not_replaced,
        an_unparsable_address_is_stopped_by_the_record,
        a_failed_start_names_its_cause_once,
    ],
    cases![Ours Nothing announce:
        requests_and_replies_in_two_bursts,
        a_stop_ends_the_announcing,
        an_address_deleted_by_hand_ends_the_announcing,
        a_second_start_announces_again,
        a_monitor_announces_when_told_to,
        v6_is_announced_by_advertisements,
        the_foreground_is_waited_for,
    ],
    cases![Both Nothing announce: the_first_packet_comes_soon],
    cases![Ours Nothing duplicate:
        a_duplicate_stops_the_start_and_is_named,
        a_free_address_costs_half_a_second,
        a_deep_monitor_finds_a_duplicate,
        a_cheap_monitor_asks_nobody,
        a_dadfailed_address_has_failed,
    ],
    cases![Both Nothing link: a_pulled_cable_is_seen, a_link_set_down_is_seen],
    cases![Ours Nothing link:
        a_pulled_cable_is_nobodys_business_when_so_told,
        start_waits_for_a_carrier_and_gives_up,
        start_waits_for_a_carrier_that_comes,
    ],
    cases![Ours Bonding link: a_bond_that_lost_a_slave_is_degraded],
    cases![Ours Nothing sockets:
        a_stop_ends_the_sockets_of_the_address_and_no_others,
        a_stop_ends_v4_mapped_and_v6_sockets,
        a_stop_of_one_address_leaves_those_of_another,
    ],
    cases![Ours Nothing tickle:
        an_idle_client_is_reset_after_a_move,
        without_a_directory_the_client_hears_nothing,
        a_v6_client_is_reset_after_a_crash,
        a_v4_client_of_a_v6_listener_is_reset_after_a_move,
        a_crash_of_the_first_node_is_tickled_from_the_last_monitor,
        only_the_ports_asked_for_are_recorded,
        connections_made_anew_outlive_a_stale_record,
        the_sync_script_gets_the_file,
    ],
    cases![Ours Nothing lasting:
        a_tickle_file_that_hangs_hangs_nobody,
        a_sync_script_that_sleeps_hangs_nobody,
        a_tickle_directory_that_is_gone_fails_no_stop,
        twenty_moves_leave_nothing_behind,
    ],
    cases![Ours Nothing changes:
        a_link_local_address_is_stopped_on_a_renamed_link,
        a_link_local_address_of_another_nic_is_not_forgotten,
        a_renamed_link_is_no_failure_where_no_nic_is_named,
        a_second_copy_is_worth_a_look,
        who_only_asks_for_an_address_does_not_have_it,
        a_carrier_that_comes_back_is_no_failure,
        a_list_that_changed_back_is_saved_again,
        a_reload_during_a_save_reaches_the_new_directory,
        an_address_that_another_agent_started_is_looked_after,
        a_sync_script_leaves_no_children,
    ],
    cases![Ours Nothing records:
        siblings_that_stop_together_stay_stopped,
        an_address_that_was_changed_without_a_stop_is_found_and_goes,
        what_is_no_namespace_is_a_missing_one,
        a_deep_monitor_that_can_not_ask_is_no_failure,
        a_new_hardware_address_is_in_the_second_burst,
        a_link_local_address_belongs_to_its_link,
        a_failure_to_save_is_known_until_it_works,
        a_stop_that_comes_late_leaves_the_list_alone,
        the_administrators_address_label_stays,
        a_link_brought_up_stays_up,
    ],
    cases![Ours OcfTester testers: ocf_tester_is_content],
];

fn main() -> ExitCode {
    run::all(CASES)
}
