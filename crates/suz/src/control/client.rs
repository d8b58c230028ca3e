//! The side of those who ask.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CONSOLE, Problem, address};

/// How long a machine may take for an answer. Pausing one with many processors takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);

type Stream = TokioIo<tokio::net::UnixStream>;

/// Asks the machine at a control socket.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    /// Who is asked, for messages.
    who: String,
}

impl Client {
    pub(crate) fn new(socket: &Path, who: String) -> Self {
        let socket = socket.to_owned();
        Self { socket, who }
    }

    /// What is at `path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let body = self.ask(Request::get(path), Bytes::new())?;
        serde_json::from_slice(&body).with_context(|| self.who.clone())
    }

    /// Has something done.
    pub(crate) fn put(&self, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let body = serde_json::to_vec(body).context("a request")?;
        self.ask(Request::put(path), body.into()).map(drop)
    }

    /// The console's bytes, of which some may have come already.
    pub(crate) fn console(&self) -> anyhow::Result<(UnixStream, Vec<u8>)> {
        let request = Request::get("/console")
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, CONSOLE);
        self.converse(request, Bytes::new(), async |response| {
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refused(response).await);
            }
            let upgraded = hyper::upgrade::on(response).await?;
            let parts = upgraded.downcast::<Stream>();
            let parts = parts.map_err(|_| anyhow!("no socket"))?;
            let stream = parts.io.into_inner().into_std()?;
            stream.set_nonblocking(false)?;
            Ok((stream, parts.read_buf.to_vec()))
        })
    }

    fn ask(&self, request: hyper::http::request::Builder, body: Bytes) -> anyhow::Result<Bytes> {
        self.converse(request, body, async |response| {
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            Ok(response.into_body().collect().await?.to_bytes())
        })
    }

    /// Sends a request, and has the answer taken.
    fn converse<T>(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
        take: impl AsyncFnOnce(Response<Incoming>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let request = request
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .context("a request")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("a runtime for the control socket")?;
        let asked = async {
            let stream = address::connect(&self.socket)?;
            stream.set_nonblocking(true)?;
            let stream = tokio::net::UnixStream::from_std(stream)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection.with_upgrades());
            take(sender.send_request(request).await?).await
        };
        let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
        match answer {
            Ok(answer) => answer.with_context(|| format!("{} does not answer well", self.who)),
            Err(_) => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                Err(error).with_context(|| format!("{} does not answer", self.who))
            }
        }
    }
}

/// What a refusal says.
async fn refused(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let told = async move {
        let body = response.into_body().collect().await?.to_bytes();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Ok(anyhow!(problem.error)),
            Err(_) => bail!("{status}"),
        }
    };
    told.await.unwrap_or_else(|error| error)
}
