//! The OCF resource agent contract (API 1.1). Knows nothing of storage.

pub mod env;
pub mod error;
pub mod hang;
pub mod run;
pub mod spec;
