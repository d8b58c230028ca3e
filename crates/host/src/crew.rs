//! Threads that do one owner's jobs side by side.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Threads that make an `R` of each `J`. Dropping it waits for the jobs in work.
pub struct Crew<J, R> {
    jobs: Option<Sender<J>>,
    /// Nothing instead of the result of a job that panicked.
    results: Receiver<Option<R>>,
    threads: Vec<JoinHandle<()>>,
    waiting: usize,
}

impl<J, R> Crew<J, R> {
    /// Whether every thread has a job.
    pub fn is_busy(&self) -> bool {
        self.waiting >= self.threads.len()
    }
}

impl<J: Send + 'static, R: Send + 'static> Crew<J, R> {
    /// Starts `size` threads.
    ///
    /// # Errors
    /// When the host has none.
    pub fn new(
        name: &str,
        size: usize,
        work: impl Fn(J) -> R + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = channel();
        let (sender, results) = channel();
        let (queue, work) = (Arc::new(Mutex::new(queue)), Arc::new(work));
        let mut crew = Self {
            jobs: Some(jobs),
            results,
            threads: Vec::new(),
            waiting: 0,
        };
        for _ in 0..size {
            let (queue, work, sender) = (queue.clone(), work.clone(), sender.clone());
            let next = move || {
                let queue: &Mutex<Receiver<J>> = &queue;
                queue.lock().unwrap_or_else(PoisonError::into_inner).recv()
            };
            let thread = thread::Builder::new().name(name.to_owned());
            let thread = thread.spawn(move || {
                while let Ok(job) = next() {
                    let result = catch_unwind(AssertUnwindSafe(|| work(job))).ok();
                    if sender.send(result).is_err() {
                        return;
                    }
                }
            })?;
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    /// Gives a job to whoever is free first.
    pub fn give(&mut self, job: J) {
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_ok()
        {
            self.waiting += 1;
        }
    }

    /// Waits for the next result, in whatever order they come; `None` when there is nothing to wait for.
    ///
    /// # Panics
    /// When a job did.
    pub fn take(&mut self) -> Option<R> {
        if self.waiting == 0 {
            return None;
        }
        let result = self.results.recv().ok();
        Some(self.taken(result))
    }

    /// The next result if there is one already.
    ///
    /// # Panics
    /// When a job did.
    pub fn try_take(&mut self) -> Option<R> {
        let result = self.results.try_recv().ok()?;
        Some(self.taken(Some(result)))
    }

    fn taken(&mut self, result: Option<Option<R>>) -> R {
        self.waiting -= 1;
        result
            .flatten()
            .expect("a job panicked, which it has reported")
    }
}

impl<J, R> Drop for Crew<J, R> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_side_by_side() {
        let together = std::sync::Barrier::new(4);
        let mut crew = Crew::new("crew", 4, move |job: u32| {
            together.wait();
            job * 2
        })
        .unwrap();
        (0..8).for_each(|job| crew.give(job));
        assert!(crew.is_busy());
        let mut results: Vec<_> = std::iter::from_fn(|| crew.take()).collect();
        results.sort_unstable();
        assert_eq!(results, [0, 2, 4, 6, 8, 10, 12, 14]);
        assert_eq!((crew.is_busy(), crew.try_take()), (false, None));
    }
}
