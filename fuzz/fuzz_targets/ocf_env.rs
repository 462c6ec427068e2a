//! No environment and no action makes `prepare` panic, for any agent, and every reason is one short line.
//!
//! The input is lines of `NAME=VALUE`. A name that starts with a digit is that parameter of the agent, so that the fuzzer need not guess
//! names; the first line that is no such pair is the action.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocf_san::agents;
use ocf_san::ocf::env::Env;
use ocf_san::ocf::spec::AgentSpec;
use ocf_san::ocf::{reason, run};

const ACTIONS: [&str; 9] = ["start", "stop", "monitor", "status", "validate-all", "reload-agent", "promote", "demote", "notify"];

fuzz_target!(|text: &str| {
    let other = text.lines().find(|line| !line.contains('=')).unwrap_or_default();
    for spec in agents::ALL {
        let env: Env = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (variable(spec, name), value.to_owned()))
            .collect();
        let _ = (env.is_probe(), env.timeout(), env.level(), env.instance(), env.state_dir());
        for action in ACTIONS.iter().copied().chain([other]) {
            match run::prepare(spec, action, &env) {
                Ok(params) => drop((spec.build)(&params)),
                Err(e) => {
                    let shown = reason::text(&e.reason);
                    assert!(shown.len() <= reason::MAX && shown.bytes().all(|b| (b' '..=b'~').contains(&b)), "{shown:?}");
                    assert_eq!(reason::line(&env, &e.reason).lines().count(), 1);
                }
            }
        }
    }
});

fn variable(spec: &AgentSpec, name: &str) -> String {
    let parameter = name.parse().ok().and_then(|number: usize| spec.params.get(number % spec.params.len()));
    parameter.map_or_else(|| name.to_owned(), |param| format!("OCF_RESKEY_{}", param.decl().name))
}
