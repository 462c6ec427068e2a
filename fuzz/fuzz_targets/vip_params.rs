//! No value of any parameter makes VIP's declaration panic; a stop is never refused; and what is refused is wrong on every node, with one
//! short line that says why.
//!
//! The input is lines of `NUMBER=VALUE`, where the number is that of the parameter, so that the fuzzer need not guess names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocf_san::agents;
use ocf_san::ocf::env::Env;
use ocf_san::ocf::error::Code;
use ocf_san::ocf::{reason, run};

const ACTIONS: [&str; 5] = ["start", "stop", "monitor", "validate-all", "reload-agent"];

/// What Pacemaker adds to the parameters that the agent declares.
const META: [&str; 3] = ["OCF_RESKEY_CRM_meta_interval", "OCF_RESKEY_CRM_meta_clone_max", "OCF_CHECK_LEVEL"];

fuzz_target!(|text: &str| {
    let spec = agents::ALL.iter().find(|spec| spec.name == "VIP").expect("an agent is called VIP");
    let variable = |number: usize| {
        let place = number % (spec.params.len() + META.len());
        spec.params.get(place).map_or_else(|| META[place - spec.params.len()].to_owned(), |p| format!("OCF_RESKEY_{}", p.decl().name))
    };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let env: Env = pairs.filter_map(|(number, value)| Some((variable(number.parse().ok()?), value.to_owned()))).collect();
    for action in ACTIONS {
        match run::prepare(spec, action, &env) {
            Ok(params) => drop((spec.build)(&params)),
            Err(e) => {
                assert!(action != "stop" && e.code == Code::Configured, "{action}: {e:?}");
                let shown = reason::text(&e.reason);
                assert!(shown.len() <= reason::MAX && shown.bytes().all(|b| (b' '..=b'~').contains(&b)), "{shown:?}");
                assert_eq!(reason::line(&env, &e.reason).lines().count(), 1);
            }
        }
    }
});
