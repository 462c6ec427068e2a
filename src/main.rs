//! argv[0] → agent, own name → command. The only place that makes an exit code.

fn main() {}
