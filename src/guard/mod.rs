//! When something hangs.
//!
//! The process that Pacemaker started is the supervisor: it touches no configfs, no block device and no file system that may hang.
//! It forks the worker, which does; waits on it with a deadline; and always answers before Pacemaker's time-out. Neither a signal nor
//! a thread with a time limit could do that: a process with one thread in an endless kernel wait can not be reaped.

mod budget;
pub mod escalate;
pub mod evidence;
mod frame;
pub mod held;
mod hung;
mod noreboot;
mod press;
mod record;
pub mod supervise;
mod watch;
mod worker;
