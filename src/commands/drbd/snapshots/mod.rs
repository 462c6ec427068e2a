//! Snapshots of the logical volumes below a resource, all volumes of one moment: what they are called, how large they must be, when one is
//! worth making; and `ocf-san drbd snapshots`.

mod group;
mod make;
mod plan;
mod show;
mod storage;

pub use group::{Group, Kind, Snapshot, stamp};
#[cfg(test)]
pub use group::{Label, snapshot as test_snapshot};
pub use make::{Order, change, make, plan, remove, widen};
pub use plan::{Call, Decision, Resync, Sight, decide};
pub use show::{command, run};
pub use storage::Storage;
#[cfg(test)]
pub use storage::Volume;
