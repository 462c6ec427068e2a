//! The OCF resource agent contract (API 1.1). Knows nothing of storage.

pub mod agent;
pub mod cib;
pub mod doubt;
pub mod env;
pub mod error;
pub mod hang;
pub mod log;
pub mod members;
pub mod metadata;
pub mod reason;
pub mod run;
pub mod spec;
pub mod state_file;
