//! argv[0] → agent, own name → command. The only place that makes an exit code.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use ocf_san::kernel::attr::Root;
use ocf_san::ocf::env::Env;
use ocf_san::ocf::error::{Code, OcfError};
use ocf_san::ocf::run::{Answer, prepare};
use ocf_san::ocf::spec::AgentSpec;
use ocf_san::ocf::{log, metadata, reason};
use ocf_san::{agents, commands, guard};

fn main() -> ExitCode {
    let env = Env::snapshot();
    end_a_panic_as_ocf_wants_it(env.clone());
    let args: Vec<OsString> = std::env::args_os().collect();
    let own_name = args.first().and_then(|path| Path::new(path).file_name()).unwrap_or_default();
    if own_name != "ocf-san" {
        return agent(own_name, args.get(1), &env);
    }
    match args.get(1) {
        Some(name) if by_name(name).is_some() => agent(name, args.get(2), &env),
        _ => ExitCode::from(commands::run(&Root::host(), &env, &args).unwrap_or_else(|e| {
            complain(&e);
            1
        })),
    }
}

fn by_name(name: &OsStr) -> Option<&'static AgentSpec> {
    agents::by_name(name.to_str()?)
}

/// "The RA shall ignore all other arguments" (OCF API 1.1, "Execution syntax"): the action is all that is looked at.
fn agent(name: &OsStr, action: Option<&OsString>, env: &Env) -> ExitCode {
    let action = action.map(|action| action.to_string_lossy()).unwrap_or_default();
    let answer = match by_name(name) {
        None => OcfError::new(Code::Installed, format_args!("{}: no such agent", name.to_string_lossy())).into(),
        Some(spec) => match action.as_ref() {
            "" => OcfError::new(Code::Unimplemented, format_args!("no action given: {} --help", spec.name)).into(),
            "meta-data" => printed(metadata::xml(spec)),
            "help" | "usage" | "--help" | "-h" => printed(Ok(commands::help_of(spec))),
            action => perform(spec, action, env),
        },
    };
    if let Some(text) = &answer.reason {
        match answer.code {
            Code::Degraded | Code::DegradedPromoted => reason::print(env, text),
            _ => log::exit_reason(env, text),
        }
    }
    ExitCode::from(answer.code as u8)
}

fn perform(spec: &'static AgentSpec, action: &str, env: &Env) -> Answer {
    let root = Root::host();
    log::init(&root, env, spec.name, action);
    match prepare(spec, action, env) {
        Ok(params) => guard::supervise::call(spec, action, &params, env, &root),
        Err(e) => e.into(),
    }
}

fn printed(text: std::io::Result<String>) -> Answer {
    match text.and_then(|text| commands::put(&text)) {
        Ok(()) => Answer::SUCCESS,
        Err(e) => OcfError::new(Code::Generic, format_args!("stdout: {e}")).into(),
    }
}

/// To a person, not to Pacemaker.
fn complain(e: &anyhow::Error) {
    let _ = std::io::Write::write(&mut std::io::stderr(), format!("ocf-san: {e:#}\n").as_bytes());
}

/// Rust's own ending would be code 101 or SIGABRT, which Pacemaker reports without a reason.
fn end_a_panic_as_ocf_wants_it(env: Env) {
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        reason::print(&env, &format!("internal error at {place}"));
        leave();
    }));
}

/// Ends the process with code 1, without destructors or exit handlers: after a panic none of them can be trusted.
#[expect(unsafe_code, reason = "there is no safe _exit(2)")]
fn leave() -> ! {
    // SAFETY: _exit(2) may be called at any time, takes no pointer and does not return.
    unsafe { libc::_exit(1) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "runs itself, to see a process end")]
    fn a_panic_is_code_1_and_one_reason_line() {
        if Env::snapshot().get("OCF_SAN_TEST_PANICS").is_some() {
            end_a_panic_as_ocf_wants_it(Env::default());
            panic!("with a secret");
        }
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["tests::a_panic_is_code_1_and_one_reason_line", "--exact", "--nocapture"])
            .env("OCF_SAN_TEST_PANICS", "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8(child.stderr).unwrap();
        assert_eq!(child.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with("ocf-exit-reason:internal error at src/main.rs:"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
