//! When something hangs.

pub mod supervise;
