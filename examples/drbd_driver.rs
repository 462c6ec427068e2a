//! What the library sees of DRBD on this machine, and a resource taken down without DRBD's programs: for trials by hand on a real kernel.
//!
//! usage: `drbd_driver resource NAME [VOLUME:MINOR…]`, `resources`, `down NAME`, `generation MINOR`, `split NAME MINOR…`
#![allow(clippy::print_stdout, reason = "it answers a person")]

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ocf_san::deadline::Deadline;
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::drbd::{Drbd, generation, kernel_log, netlink};

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let root = Root::host();
    let deadline = Deadline::after(Duration::from_secs(20));
    let drbd = Drbd::open(&root)?.context("the module is not loaded")?;
    match args.as_slice() {
        ["resources"] => println!("{:#?}", drbd.resources(deadline)?),
        ["resource", name, hint @ ..] => {
            let pair = |text: &&str| text.split_once(':').and_then(|(v, m)| Some((v.parse().ok()?, m.parse().ok()?)));
            let hint: Vec<_> = hint.iter().filter_map(pair).collect();
            println!("{:#?}", drbd.resource(name, &hint, deadline)?);
        }
        ["down", name] => println!("{}", if netlink::down(name, deadline)? { "down" } else { "not known" }),
        ["generation", minor] => println!("{:x?}", generation::of_minor(&root, minor.parse()?, deadline)?),
        ["split", name, minors @ ..] => {
            let minors: Vec<_> = minors.iter().map(|minor| minor.parse()).collect::<std::result::Result<_, _>>()?;
            println!("{}", kernel_log::split_brain_in_kernel_log(&root, name, &minors, None)?);
        }
        _ => bail!("see the head of examples/drbd_driver.rs"),
    }
    Ok(())
}
