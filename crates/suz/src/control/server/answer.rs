//! Requests and what they do.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::super::{Action, CONSOLE, Description, Power, Problem, Size, State, Statistics};
use super::{PATIENCE, Subject};

/// Bytes of a request's body.
const BODY: usize = 16 << 10;

type Answer = Response<Full<Bytes>>;

/// A status, and a line that says why.
struct Refusal(StatusCode, String);

/// What there is, by path: the only method that each takes.
fn method(path: &str) -> Option<Method> {
    match path {
        "/machine" | "/stats" | "/console" => Some(Method::GET),
        "/power" | "/pause" | "/resume" | "/console/size" => Some(Method::PUT),
        _ => None,
    }
}

pub(super) async fn answer(request: Request<Incoming>, subject: Arc<Subject>) -> Answer {
    let allowed = method(request.uri().path());
    match dispatch(request, subject).await {
        Ok(answer) => answer,
        Err(Refusal(status, error)) => {
            let mut answer = json(status, &Problem { error });
            if status == StatusCode::METHOD_NOT_ALLOWED
                && let Some(value) = allowed.and_then(|method| method.as_str().parse().ok())
            {
                answer.headers_mut().insert(ALLOW, value);
            }
            answer
        }
    }
}

async fn dispatch(request: Request<Incoming>, subject: Arc<Subject>) -> Result<Answer, Refusal> {
    let path = request.uri().path().to_owned();
    let Some(method) = method(&path) else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no {path:?}"),
        ));
    };
    if request.method() != method {
        let line = format!("{path} takes {method} alone");
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, line));
    }
    match &*path {
        "/machine" => Ok(json(
            StatusCode::OK,
            &on_thread(move || describe(&subject)).await?,
        )),
        "/stats" => Ok(json(
            StatusCode::OK,
            &on_thread(move || figures(&subject)).await?,
        )),
        "/pause" => done(on_thread(move || subject.machine.pause()).await),
        "/resume" => done(on_thread(move || subject.machine.resume()).await),
        "/power" => {
            let Power { action } = body(request).await?;
            done(on_thread(move || power(&subject, action)).await)
        }
        "/console/size" => {
            let size: Size = body(request).await?;
            if !size.is_window() {
                let line = format!("a window has 1 to {} columns and rows", Size::LONGEST);
                return Err(Refusal(StatusCode::BAD_REQUEST, line));
            }
            subject.hub.resize(size.columns, size.rows);
            done(on_thread(move || subject.machine.resize_console(size.columns, size.rows)).await)
        }
        _ => console(request, subject),
    }
}

/// What touches the machine may have to wait for its processors.
async fn on_thread<T: Send + 'static>(
    what: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let failed = |error: tokio::task::JoinError| {
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    tokio::task::spawn_blocking(what).await.map_err(failed)
}

fn describe(subject: &Subject) -> Description {
    let machine = &subject.machine;
    Description {
        name: subject.name.clone(),
        state: if machine.is_paused() {
            State::Paused
        } else {
            State::Running
        },
        pid: std::process::id(),
        uptime: subject.started.elapsed().as_secs_f64(),
        engine: subject.spec.engine,
        spec: subject.spec.clone(),
        stats: figures(subject),
    }
}

fn figures(subject: &Subject) -> Statistics {
    let figures = subject.machine.statistics().into_iter();
    figures
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn power(subject: &Subject, action: Action) {
    match action {
        Action::Button => subject.machine.press_power_button(),
        Action::Reset => subject.machine.reset(),
        Action::Off => subject.machine.stop(),
    }
}

/// Turns the connection into the console.
fn console(mut request: Request<Incoming>, subject: Arc<Subject>) -> Result<Answer, Refusal> {
    let asked = request.headers().get(UPGRADE);
    if asked.is_none_or(|protocol| protocol.as_bytes() != CONSOLE.as_bytes()) {
        let line = format!("the console comes by Upgrade: {CONSOLE}");
        return Err(Refusal(StatusCode::UPGRADE_REQUIRED, line));
    }
    if !subject.hub.has_room() {
        let line = "the console has too many clients".to_owned();
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, line));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = upgrade.await.map_err(std::io::Error::other);
        let attached = upgraded.and_then(|upgraded| attach(upgraded, &subject));
        if let Err(error) = attached {
            tracing::debug!(%error, "console client");
        }
    });
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(CONSOLE));
    Ok(answer)
}

fn attach(upgraded: hyper::upgrade::Upgraded, subject: &Subject) -> std::io::Result<()> {
    let parts = upgraded
        .downcast::<TokioIo<UnixStream>>()
        .map_err(|_| std::io::Error::other("no socket"))?;
    let stream = parts.io.into_inner().into_std()?;
    stream.set_nonblocking(false)?;
    let machine = subject.machine.clone();
    let typed = parts.read_buf.to_vec();
    subject
        .hub
        .attach(stream, typed, move || machine.poll_console())
}

/// Reads a body that describes a `T`.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let limited = Limited::new(request.into_body(), BODY);
    let read = tokio::time::timeout(PATIENCE, limited.collect()).await;
    let read = read.map_err(|_| {
        let line = "the body did not come in time".to_owned();
        Refusal(StatusCode::REQUEST_TIMEOUT, line)
    })?;
    let read = read.map_err(|error| {
        Refusal(
            StatusCode::BAD_REQUEST,
            format!("the body can't be read: {error}"),
        )
    })?;
    serde_json::from_slice(&read.to_bytes())
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

fn done(result: Result<(), Refusal>) -> Result<Answer, Refusal> {
    result.map(|()| {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    })
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    let mut answer = Response::new(Full::new(bytes.into()));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
