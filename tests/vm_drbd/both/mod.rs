//! What ours and the peer are asked alike: `expect(ours, peer)`.

mod answers;
mod bad_input;
mod defects;
mod states;
