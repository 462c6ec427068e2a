//! Kernel operations side by side, each of which may never come back.
//!
//! A thread that sleeps in the kernel for good can be neither ended nor joined, so nobody here waits for one: the caller waits for the
//! *news* of a wave until its deadline, and then knows which jobs have not reported.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::deadline::Deadline;
use crate::kernel::error::KernelError;

/// Enough for a path walk; 250 portal groups are disabled at once.
const STACK: usize = 128 << 10;

/// One operation and what to call it.
pub struct Job {
    label: String,
    act: Box<dyn FnOnce() -> Result<(), KernelError> + Send>,
}

impl Job {
    /// The operation `act`, known as `label`: "disable iqn… `tpgt_1`".
    pub fn new(label: impl Into<String>, act: impl FnOnce() -> Result<(), KernelError> + Send + 'static) -> Self {
        Self { label: label.into(), act: Box::new(act) }
    }
}

type Queue = Arc<Mutex<VecDeque<(usize, Job)>>>;

/// Jobs under way.
pub struct Wave {
    queue: Queue,
    news: Receiver<(usize, Result<(), KernelError>)>,
    outstanding: BTreeMap<usize, String>,
    failed: Vec<KernelError>,
}

impl Wave {
    /// Starts the jobs on at most `width` threads.
    #[must_use]
    pub fn start(jobs: Vec<Job>, width: usize) -> Self {
        let outstanding: BTreeMap<_, _> = jobs.iter().map(|j| j.label.clone()).enumerate().collect();
        let width = width.min(jobs.len());
        let queue: Queue = Arc::new(Mutex::new(jobs.into_iter().enumerate().collect()));
        let (report, news) = channel();
        let spawn = |_: &usize| {
            let (queue, report) = (Arc::clone(&queue), report.clone());
            std::thread::Builder::new().stack_size(STACK).spawn(move || work(&queue, &report)).is_ok()
        };
        let threads = (0..width).take_while(spawn).count();
        if threads == 0 {
            // No thread to be had at all: rather at the risk of hanging here than not at all.
            work(&queue, &report);
        }
        Self { queue, news, outstanding, failed: Vec::new() }
    }

    /// Waits for news until everything is done or the deadline comes. Whether everything is done.
    pub fn wait(&mut self, deadline: Deadline) -> bool {
        while !self.outstanding.is_empty() {
            match self.news.recv_timeout(deadline.remaining()) {
                Ok((index, result)) => {
                    self.outstanding.remove(&index);
                    self.failed.extend(result.err());
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Whether all have begun: with fewer threads than jobs, some wait for the end of others.
    #[must_use]
    pub fn has_begun_all(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What has not reported.
    pub fn outstanding(&self) -> impl Iterator<Item = &str> {
        self.outstanding.values().map(String::as_str)
    }

    /// What failed since the last call, in the order of the news.
    pub fn take_failed(&mut self) -> Vec<KernelError> {
        std::mem::take(&mut self.failed)
    }
}

impl Drop for Wave {
    /// What has not begun shall not begin behind the caller's back.
    fn drop(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn work(queue: &Queue, report: &Sender<(usize, Result<(), KernelError>)>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((index, job)) = next else { return };
        if report.send((index, (job.act)())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn everything_is_done_whatever_the_width_and_failures_are_told() {
        let jobs = (0..20).map(|n| {
            Job::new(format!("{n}"), move || match n {
                7 => Err(KernelError::new("test", "seven", std::io::Error::from_raw_os_error(libc::EIO))),
                _ => Ok(()),
            })
        });
        let mut wave = Wave::start(jobs.collect(), 3);
        assert!(wave.wait(Deadline::after(Duration::from_secs(30))));
        assert_eq!(wave.take_failed().len(), 1);
    }

    #[test]
    fn a_job_that_does_not_come_back_is_named_and_does_not_hold_up_the_others() {
        let (keep, never) = channel::<()>();
        let stuck = Job::new("stuck", move || {
            let _ = never.recv();
            Ok(())
        });
        let mut wave = Wave::start(vec![stuck, Job::new("fine", || Ok(()))], 2);
        assert!(!wave.wait(Deadline::after(Duration::from_millis(200))));
        assert_eq!(wave.outstanding().collect::<Vec<_>>(), ["stuck"]);
        assert!(wave.has_begun_all());
        drop(keep);
        assert!(wave.wait(Deadline::after(Duration::from_secs(30))));
    }

    #[test]
    fn behind_one_that_does_not_come_back_the_next_has_not_begun() {
        let (keep, never) = channel::<()>();
        let stuck = Job::new("stuck", move || {
            let _ = never.recv();
            Ok(())
        });
        let mut wave = Wave::start(vec![stuck, Job::new("fine", || Ok(()))], 1);
        assert!(!wave.wait(Deadline::after(Duration::from_millis(200))));
        assert!(!wave.has_begun_all());
        drop(keep);
        assert!(wave.wait(Deadline::after(Duration::from_secs(30))));
        assert!(wave.has_begun_all());
    }
}
