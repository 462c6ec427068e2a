//! What only ours can.

mod bad_input;
mod cold_start;
mod cost;
mod guard;
mod health;
mod holders;
mod promoting;
mod refence;
mod score;
mod stopping;
mod stuck;
mod testers;
mod unfence;
