//! Volume groups and logical volumes as a resource.

pub mod checks;
mod vg;
