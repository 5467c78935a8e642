//! A log over HTTP. `POST /append` appends the body, and answers with its LSN when it is durable: requests at the same
//! time share a sync. `GET /from/{lsn}` streams the durable records from there on, and follows.
//!
//! `cargo run -p tidelog-async-tests --example http -- DIRECTORY [ADDRESS]`, and then
//! `curl --data-binary hello localhost:8080/append; curl -N localhost:8080/from/0`
//!
//! A record is streamed as its LSN and its length, both as eight bytes, little end first, and its payload. Ctrl-C ends the
//! server: requests that are under way are answered, streams end, the log is closed.

use std::future::Future;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use tidelog::{Error, ErrorKind, Log, Lsn, PinnedRecord};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the handlers share.
#[derive(Clone)]
struct Served {
    log: Log,
    /// Becomes true when the server is to end.
    ending: watch::Receiver<bool>,
}

/// Serves the log until `shutdown` is ready, then closes it.
pub async fn serve(listener: TcpListener, log: Log, shutdown: impl Future<Output = ()> + Send + 'static) {
    let (end, ending) = watch::channel(false);
    let body_max = log.record_bytes_max();
    let router = Router::new()
        .route("/append", post(append).layer(DefaultBodyLimit::max(body_max)))
        .route("/from/{lsn}", get(follow))
        .with_state(Served { log: log.clone(), ending });
    let shutdown = async move {
        shutdown.await;
        // Streams follow for ever, so they are told.
        let _ = end.send(true);
    };
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await.expect("axum::serve never fails");
    // Closing syncs, and waits for threads: not on a thread that runs tasks.
    let closed = tokio::task::spawn_blocking(move || log.close()).await.expect("closing does not panic");
    if let Err(error) = closed {
        eprintln!("the log could not be closed: {error}");
    }
}

/// Group commit: the requests that wait at the same time are served by one sync.
async fn append(State(served): State<Served>, body: Bytes) -> Response {
    match served.log.append_durable(&body).await {
        Ok(lsn) => format!("{lsn}\n").into_response(),
        Err(error) => refusal(&error),
    }
}

async fn follow(State(mut served): State<Served>, Path(lsn): Path<u64>) -> Response {
    let tail = match served.log.tail_durable(Lsn::new(lsn)) {
        Ok(tail) => tail,
        Err(error) => return refusal(&error),
    };
    let ended = async move {
        // An error says that the server is gone.
        let _ = served.ending.wait_for(|ending| *ending).await;
    };
    // An error in the middle, such as a retirement that overtook the follower, breaks the connection off.
    let parts = tail.into_stream().take_until(Box::pin(ended)).flat_map(|record| stream::iter(parts(record)));
    Body::from_stream(parts).into_response()
}

/// How a record is sent: its head, and its payload straight from the mapping.
fn parts(record: Result<PinnedRecord, Error>) -> Vec<Result<Bytes, Error>> {
    let record = match record {
        Ok(record) => record,
        Err(error) => return vec![Err(error)],
    };
    let mut head = [0; 16];
    head[..8].copy_from_slice(&record.lsn().get().to_le_bytes());
    head[8..].copy_from_slice(&(record.payload().len() as u64).to_le_bytes());
    vec![Ok(Bytes::copy_from_slice(&head)), Ok(Bytes::from_owner(Payload(record)))]
}

/// Keeps the segment mapped until the payload was sent.
struct Payload(PinnedRecord);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.0.payload()
    }
}

fn refusal(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::NotWritten | ErrorKind::NotARecord => StatusCode::NOT_FOUND,
        ErrorKind::Retired => StatusCode::GONE,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{error}\n")).into_response()
}

#[allow(dead_code, reason = "tests/http.rs takes `serve` alone")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: http DIRECTORY [ADDRESS]")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let log = tokio::task::spawn_blocking(|| Log::open(directory)).await??;
    let listener = TcpListener::bind(address).await?;
    println!("serving {} on http://{}", log.directory().display(), listener.local_addr()?);
    serve(listener, log, async {
        // Without a signal handler the server runs until it is killed, which loses nothing that was answered.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
    .await;
    Ok(())
}
