//! Persistent reservations. What is to survive a move to another node comes here.

use super::file::{self, IQN};
use super::initiator;
use super::tree;
use super::world::{World, sh};

#[test]
#[ignore = "vm: builds targets"]
fn a_reservation_can_be_made_because_start_made_the_place_for_it() {
    let world = World::warm();
    sh("rm -rf /var/target/pr /etc/target/pr").ok();
    world.write(&file::simple(&world, 1));
    world.start();
    initiator::login(IQN);
    let disk = initiator::disk(0);
    sh(&format!("sg_persist --out --register --param-sark=abc /dev/{disk}")).ok();
    sh(&format!("sg_persist --out --reserve --param-rk=abc --prout-type=5 /dev/{disk}")).ok();
    assert!(sh(&format!("sg_persist --in --read-keys /dev/{disk}")).ok().contains("0xabc"));
    assert!(tree::read("core/iblock_0/d0/pr/res_pr_type").contains("Write Exclusive Access, Registrants Only"));
    world.stop();
}

/// So that the test above can fail: this is what happens without the directory.
#[test]
#[ignore = "vm: builds targets"]
fn without_the_place_for_it_no_reservation_can_be_made() {
    let world = World::warm();
    world.write(&file::simple(&world, 1));
    world.start();
    initiator::login(IQN);
    let disk = initiator::disk(0);
    let dbroot = tree::read("dbroot");
    sh(&format!("mv {dbroot}/pr {dbroot}/pr.away")).ok();
    let said = sh(&format!("sg_persist --out --register --param-sark=abc --param-aptpl /dev/{disk}"));
    sh(&format!("mv {dbroot}/pr.away {dbroot}/pr")).ok();
    assert_ne!(said.code, 0, "{}", said.text);
    world.stop();
}

/// Registers and reserves for good (APTPL), as a cluster of initiators does, and leaves.
fn reserve_for_good() {
    initiator::login(IQN);
    let disk = initiator::disk(0);
    sh(&format!("sg_persist --out --register-ignore --param-sark=abc --param-aptpl /dev/{disk}")).ok();
    sh(&format!("sg_persist --out --reserve --param-rk=abc --prout-type=5 /dev/{disk}")).ok();
    initiator::logout(IQN).ok();
}

fn registrations() -> String {
    tree::read("core/iblock_0/d0/pr/res_pr_registered_i_pts")
}

/// The file was written by this node when it last served; another may have changed it all since.
#[test]
#[ignore = "vm: builds targets"]
fn saved_reservations_of_a_local_directory_are_given_back_only_when_asked_for() {
    let world = World::warm();
    world.write(&file::simple(&world, 1));
    world.start();
    reserve_for_good();
    assert!(registrations().contains(&initiator::name()), "{}", registrations());
    world.stop();
    world.start();
    assert!(!registrations().contains(&initiator::name()), "auto: {}", registrations());
    assert!(world.log().contains("saved reservations are not given back"), "{}", world.log());
    world.stop();
    world.call("start").set("reservations", "keep").run().is(0);
    assert!(registrations().contains(&initiator::name()), "keep: {}", registrations());
    assert!(tree::read("core/iblock_0/d0/pr/res_pr_type").contains("Write Exclusive Access, Registrants Only"));
    world.stop();
    sh(&format!("rm -f {}/pr/aptpl_*", tree::read("dbroot"))).ok();
}

#[test]
#[ignore = "vm: builds targets"]
fn saved_reservations_are_given_back_where_their_directory_follows_the_resource() {
    let world = World::warm();
    world.write(&file::simple(&world, 1));
    world.start();
    let pr = format!("{}/pr", tree::read("dbroot"));
    sh(&format!("mount -t tmpfs moves-along {pr}")).ok();
    reserve_for_good();
    world.stop();
    world.start();
    let registrations = registrations();
    world.stop();
    sh(&format!("umount {pr}")).ok();
    assert!(registrations.contains(&initiator::name()), "{registrations}");
}
