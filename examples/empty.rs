//! Does nothing: what a program costs that only starts and ends. `scripts/bench` measures against it.

fn main() {}
