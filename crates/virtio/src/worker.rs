//! The thread of one started queue.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use host::{Bell, Worker};
use rustix::event::PollFlags;

use crate::Queue;
use crate::ring::Position;

/// What a handler waits for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// More requests of the driver's, or a ring of the queue's bell.
    Driver,
    /// [`Handler::source`]; requests of the driver's are of no interest now.
    Source,
    /// Either.
    Both,
}

/// A device's work on one of its queues, done by the queue's own thread.
pub trait Handler: Send {
    /// Works until there is nothing to do: takes requests, gives them back, signals. When it returns, every chain
    /// that it took has been given back, or the queue rewound, or its device keeps it across stops of the queue.
    fn run(&mut self, queue: &mut Queue) -> Wait;

    /// A descriptor of the host's that the handler may wait for, and what for.
    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        None
    }
}

/// Works on a queue until the flag that it was made with is set; where its ring stands then.
pub(crate) fn start(
    name: String,
    mut queue: Queue,
    mut handler: Box<dyn Handler>,
    bell: Arc<Bell>,
    stop: Arc<AtomicBool>,
) -> io::Result<Worker<Position>> {
    let (inner_bell, inner_stop) = (bell.clone(), stop.clone());
    Worker::start(name, bell, stop, move || {
        work(&mut queue, &mut *handler, &inner_bell, &inner_stop);
        queue.position()
    })
}

fn work(queue: &mut Queue, handler: &mut dyn Handler, bell: &Bell, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        queue.listen(false);
        let wait = handler.run(queue);
        queue.signal();
        if stop.load(Ordering::SeqCst) || wait != Wait::Source && queue.listen(true) {
            continue;
        }
        let source = if wait == Wait::Driver {
            None
        } else {
            handler.source()
        };
        bell.wait(source.filter(|_| !queue.is_broken()));
    }
}
