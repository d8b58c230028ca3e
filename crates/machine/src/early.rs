//! One terminal for two consoles: the serial port speaks until the virtio console does, so that what a kernel has to
//! say before its drivers are there is not lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use device::lock;
use iface::Char;

/// What both share.
pub(crate) struct Terminal {
    char: Mutex<Box<dyn Char>>,
    /// The virtio console has spoken.
    is_taken: AtomicBool,
}

/// The serial port's side.
pub(crate) struct Early(Arc<Terminal>);

/// The virtio console's side.
pub(crate) struct Late(Arc<Terminal>);

/// The two sides of a terminal, and what both share.
pub(crate) fn split(char: Box<dyn Char>) -> (Early, Late, Arc<Terminal>) {
    let terminal = Arc::new(Terminal {
        char: Mutex::new(char),
        is_taken: AtomicBool::new(false),
    });
    (Early(terminal.clone()), Late(terminal.clone()), terminal)
}

impl Terminal {
    /// The machine starts again, and the serial port speaks first.
    pub(crate) fn reset(&self) {
        self.is_taken.store(false, Ordering::SeqCst);
    }
}

impl Char for Early {
    fn read(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if self.0.is_taken.load(Ordering::SeqCst) {
            return from.len();
        }
        lock(&self.0.char).write(from)
    }
}

impl Char for Late {
    fn read(&mut self, to: &mut [u8]) -> usize {
        lock(&self.0.char).read(to)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if !from.is_empty() {
            self.0.is_taken.store(true, Ordering::SeqCst);
        }
        lock(&self.0.char).write(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Char for Paper {
        fn read(&mut self, to: &mut [u8]) -> usize {
            to[0] = b'k';
            1
        }

        fn write(&mut self, from: &[u8]) -> usize {
            lock(&self.0).extend_from_slice(from);
            from.len()
        }
    }

    #[test]
    fn the_serial_port_speaks_until_the_virtio_console_does() {
        let paper = Paper::default();
        let (mut early, mut late, terminal) = split(Box::new(paper.clone()));
        let mut key = [0];
        assert_eq!((early.read(&mut key), late.read(&mut key)), (0, 1));
        assert_eq!(early.write(b"panic? "), 7);
        late.write(b"no ");
        assert_eq!(early.write(b"lost"), 4);
        terminal.reset();
        early.write(b"again");
        assert_eq!(*lock(&paper.0), b"panic? no again");
    }
}
