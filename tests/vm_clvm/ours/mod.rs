//! What only ours is asked: the peer has nothing like it, or would answer as in `both`.

mod bad_input;
mod cost;
mod damage;
mod health;
mod holders;
mod modes;
mod names;
mod repair;
mod shared;
mod testers;
