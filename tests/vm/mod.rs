//! What the tests stand on (file, initiator, tree, world), and the tests.

mod file;
mod initiator;
mod tree;
mod world;

mod bad_input;
mod build;
mod features;
mod hang;
mod machine;
mod ownership;
mod peer;
mod reservations;
mod rollback;
mod stop;
mod testers;
