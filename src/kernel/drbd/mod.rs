//! DRBD 8.4 and 9: one model, told by whichever source the running kernel has and cannot block on.

pub mod model;
