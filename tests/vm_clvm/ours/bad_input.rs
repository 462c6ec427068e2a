//! Values that only ours knows, and what a stop makes of them.

use crate::world::World;

#[test]
#[ignore = "vm: activates volumes"]
fn a_parameter_that_makes_no_sense_is_named_and_stops_no_stop() {
    let world = World::with(1, &["one"]);
    for (parameter, value) in [
        ("activation_mode", "shared"),
        ("tag", "a b"),
        ("exclusive", "perhaps"),
        ("partial_activation", "perhaps"),
        ("release_system_id", "2"),
        ("pool_warn", "lots"),
        ("pool_warn", "101"),
        ("read_timeout", "-1"),
        ("on_stop_hang", "pray"),
        ("devices", "relative/path"),
    ] {
        world.call("start").set(parameter, value).run().is(6).says(&[parameter]);
        world.call("validate-all").set(parameter, value).run().is(6).says(&[parameter]);
        world.has(&[]);
    }
    world.start();
    for (parameter, value) in [("pool_warn", "lots"), ("devices", "relative/path"), ("lvname", "a/b"), ("tag", "a b")] {
        world.start();
        world.call("stop").set(parameter, value).run().is(0);
        world.has(&[]);
    }
}

#[test]
#[ignore = "vm: calls the agent"]
fn level_10_of_validate_all_looks_at_the_machine() {
    let world = World::with(1, &["one"]);
    world.call("validate-all").level(10).run().is(0);
    let gone = World::bare(0);
    gone.call("validate-all").run().is(0);
    let answer = gone.call("validate-all").level(10).run();
    let log = std::fs::read_to_string(gone.dir.join("ha.log")).unwrap_or_default();
    assert!(answer.code() != 0 || log.contains(&gone.vg), "{answer:?} {log}");
}
