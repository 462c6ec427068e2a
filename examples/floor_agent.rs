//! `floor_agent ACTION`: a resource agent that does nothing but keep, in a file below `/run`, what it was told last; promotable too. What no
//! agent can be much cheaper than, so what a cluster of these takes is Pacemaker's and corosync's own: `scripts/bench switchover` measures
//! against it. It calls nothing, so the promotion scores must come from a constraint.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

// OCF 1.1, exit codes
const UNIMPLEMENTED: u8 = 3;
const NOT_RUNNING: u8 = 7;
const RUNNING_PROMOTED: u8 = 8;

const META_DATA: &str = r#"<?xml version="1.0"?>
<resource-agent name="nothing" version="1.0">
<version>1.1</version>
<longdesc lang="en">Does nothing, for measuring what a cluster costs without its agents.</longdesc>
<shortdesc lang="en">Nothing</shortdesc>
<parameters/>
<actions>
<action name="start" timeout="10s"/>
<action name="stop" timeout="10s"/>
<action name="promote" timeout="10s"/>
<action name="demote" timeout="10s"/>
<action name="notify" timeout="10s"/>
<action name="monitor" timeout="10s" interval="10s"/>
<action name="monitor" timeout="10s" interval="11s" role="Promoted"/>
<action name="meta-data" timeout="10s"/>
</actions>
</resource-agent>
"#;

fn main() -> io::Result<ExitCode> {
    let action = env::args().nth(1).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "the agents' own reader checks and costs more")]
    let instance = env::var("OCF_RESOURCE_INSTANCE").unwrap_or_default();
    let file = format!("/run/floor-{}", instance.split(':').next().unwrap_or_default());
    match action.as_str() {
        "start" | "demote" => fs::write(file, "")?,
        "promote" => fs::write(file, "promoted")?,
        "stop" if Path::new(&file).exists() => fs::remove_file(file)?,
        "stop" | "notify" => {}
        "monitor" => {
            return Ok(ExitCode::from(match fs::read(file).as_deref() {
                Err(_) => NOT_RUNNING,
                Ok([]) => 0,
                Ok(_) => RUNNING_PROMOTED,
            }));
        }
        "meta-data" => io::stdout().write_all(META_DATA.as_bytes())?,
        _ => return Ok(ExitCode::from(UNIMPLEMENTED)),
    }
    Ok(ExitCode::SUCCESS)
}
