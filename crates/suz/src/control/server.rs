//! The side of the machine: one thread for all connections, which touch the machine on threads of their own.
//!
//! A client may be as slow or as wrong as it likes: it has its place among [`CONNECTIONS`] until a time-out ends it,
//! and costs the machine nothing else.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use backend::Hub;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use machine::{Handle, Spec};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address;

mod answer;

/// Connections at a time, consoles not counted.
const CONNECTIONS: usize = 64;
/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the machine's end waits for answers to be sent.
const END: Duration = Duration::from_millis(500);
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;

/// What the clients want to know about, and to change.
pub(crate) struct Subject {
    pub(crate) name: String,
    /// With the engine that runs it.
    pub(crate) spec: Spec,
    pub(crate) started: Instant,
    pub(crate) machine: Handle,
    pub(crate) hub: Hub,
}

/// A socket that is listened at, until this is dropped.
pub(crate) struct Server {
    path: PathBuf,
    room: Arc<Semaphore>,
}

impl Server {
    /// Listens at `path` from now on.
    pub(crate) fn start(path: &Path, subject: Subject) -> io::Result<Self> {
        let listener = address::listen(path)?;
        let server = Self {
            path: path.to_owned(),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
        };
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let room = server.room.clone();
        let thread = thread::Builder::new().name("control".into());
        thread.spawn(move || runtime.block_on(serve(listener, Arc::new(subject), room)))?;
        Ok(server)
    }
}

impl Drop for Server {
    /// Lets answers that are on their way arrive.
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, socket = %self.path.display(), "left behind");
        }
        let end = Instant::now() + END;
        while self.room.available_permits() < CONNECTIONS && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

async fn serve(listener: UnixListener, subject: Arc<Subject>, room: Arc<Semaphore>) {
    let listener = match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "no control socket"),
    };
    loop {
        match listener.accept().await {
            // Without room it is hung up on.
            Ok((stream, _)) => {
                if let Ok(place) = room.clone().try_acquire_owned() {
                    tokio::spawn(converse(stream, subject.clone(), place));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "control socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers one request.
async fn converse(stream: UnixStream, subject: Arc<Subject>, _place: OwnedSemaphorePermit) {
    let service = service_fn(|request| {
        let subject = subject.clone();
        async { Ok::<_, Infallible>(answer::answer(request, subject).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that takes its answer too slowly is hung up on as well.
    match tokio::time::timeout(PATIENCE * 2, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "control connection"),
        Err(_) => tracing::debug!("a control connection took too long"),
    }
}
