//! The server of `examples/http.rs`, with a real client: many posts at once, a follower, connections that are cut.

#[path = "../examples/http.rs"]
mod http;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tidelog::{Log, Lsn, Options, SyncPolicy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const CLIENTS: u64 = 32;
const POSTS: u64 = 20;
/// A hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    log: Log,
    end: oneshot::Sender<()>,
    served: JoinHandle<()>,
    dir: tempfile::TempDir,
}

async fn start() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let log =
        Options::new().segment_bytes(1 << 16).sync_policy(SyncPolicy::grouped()).open(dir.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let served = tokio::spawn(http::serve(listener, log.clone(), async {
        let _ = ended.await;
    }));
    Server { address, log, end, served, dir }
}

struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // How a cut connection ends is not of interest.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { sender, connection }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.sender.ready().await.unwrap();
        tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await.expect("an answer").unwrap()
    }

    async fn post(&mut self, body: Vec<u8>) -> (StatusCode, String) {
        let request = Request::post("/append").header("host", "log").body(Full::from(body)).unwrap();
        let response = self.send(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn append(&mut self, body: Vec<u8>) -> u64 {
        let (status, body) = self.post(body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body.trim().parse().unwrap()
    }

    async fn from(&mut self, lsn: u64) -> Response<Incoming> {
        let request =
            Request::get(format!("/from/{lsn}")).header("host", "log").body(Full::default()).unwrap();
        self.send(request).await
    }

    /// Ends the connection in whatever state it is.
    fn cut(self) {
        self.connection.abort();
    }
}

/// The records of a stream, as they come.
struct Records {
    body: Incoming,
    read: Vec<u8>,
}

impl Records {
    fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        Self { body: response.into_body(), read: Vec::new() }
    }

    /// The next record; `None` when the server has ended the stream between two.
    async fn next(&mut self) -> Option<(u64, Vec<u8>)> {
        loop {
            if let Some((head, rest)) = self.read.split_at_checked(16) {
                let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
                let len = number(8) as usize;
                if rest.len() >= len {
                    let record = (number(0), rest[..len].to_vec());
                    self.read.drain(..16 + len);
                    return Some(record);
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a frame");
            let Some(frame) = frame else {
                assert!(self.read.is_empty(), "the stream ended in the middle of a record");
                return None;
            };
            self.read.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
    }
}

/// A payload of its own for each post, of whatever length.
fn payload(client: u64, post: u64) -> Vec<u8> {
    let mut bytes = vec![client as u8; (client * 37 + post * 101) as usize % 3000];
    bytes.extend(client.to_le_bytes());
    bytes.extend(post.to_le_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_share_syncs_and_followers_see_them_all() {
    let server = start().await;
    let address = server.address;
    let mut follower = Client::connect(address).await;
    let mut records = Records::of(follower.from(0).await);
    let clients = (0..CLIENTS).map(|client| {
        tokio::spawn(async move {
            let mut connection = Client::connect(address).await;
            let mut appended = Vec::new();
            for post in 0..POSTS {
                let body = payload(client, post);
                appended.push((connection.append(body.clone()).await, body));
            }
            appended
        })
    });
    let mut expected = BTreeMap::new();
    for client in clients.collect::<Vec<_>>() {
        let appended = client.await.unwrap();
        assert!(appended.is_sorted_by_key(|(lsn, _)| *lsn), "a client's posts stand in its order");
        expected.extend(appended);
    }
    assert_eq!(expected.len() as u64, CLIENTS * POSTS, "no LSN was given twice");
    let mut seen = BTreeMap::new();
    for _ in 0..expected.len() {
        let (lsn, payload) = records.next().await.unwrap();
        assert!(seen.last_key_value().is_none_or(|(last, _)| *last < lsn));
        seen.insert(lsn, payload);
    }
    assert_eq!(seen, expected);
    let syncs = server.log.stats().syncs;
    assert!(syncs < CLIENTS * POSTS / 2, "{syncs} syncs for {} posts that came together", CLIENTS * POSTS);
    // From the middle, and then live.
    let (middle, _) = expected.iter().nth(expected.len() / 2).unwrap();
    let mut late = Client::connect(address).await;
    let mut from_middle = Records::of(late.from(*middle).await);
    for (lsn, payload) in expected.range(middle..) {
        assert_eq!(from_middle.next().await, Some((*lsn, payload.clone())));
    }
    let lsn = late_post(address).await;
    assert_eq!(from_middle.next().await, Some((lsn, b"live".to_vec())));
    assert_eq!(records.next().await, Some((lsn, b"live".to_vec())));
    // The end: streams end between two records, and what was answered is there.
    server.end.send(()).unwrap();
    assert_eq!(records.next().await, None);
    assert_eq!(from_middle.next().await, None);
    drop((follower, late));
    tokio::time::timeout(PATIENCE, server.served).await.expect("the server ends").unwrap();
    drop(server.log);
    expected.insert(lsn, b"live".to_vec());
    let again = Log::open(server.dir.path()).unwrap();
    let found = again
        .snapshot()
        .iter()
        .map(|record| record.unwrap())
        .map(|record| (record.lsn().get(), record.payload().to_vec()))
        .collect();
    assert_eq!(expected, found);
}

async fn late_post(address: SocketAddr) -> u64 {
    Client::connect(address).await.append(b"live".to_vec()).await
}

#[tokio::test]
async fn a_connection_that_is_cut_leaves_whole_records() {
    let server = start().await;
    let mut watching = Client::connect(server.address).await;
    let mut records = Records::of(watching.from(0).await);
    for round in 0..20_u64 {
        // A follower goes in the middle of a record or between two, a post at any time.
        let mut follower = Client::connect(server.address).await;
        let mut followed = Records::of(follower.from(0).await);
        let mut poster = Client::connect(server.address).await;
        let request =
            Request::post("/append").header("host", "log").body(Full::from(payload(round, 0))).unwrap();
        let cut =
            tokio::time::timeout(Duration::from_micros(100 * round), poster.sender.send_request(request))
                .await;
        poster.cut();
        drop(cut);
        let lsn = late_post(server.address).await;
        while followed.next().await.unwrap().0 != lsn {}
        follower.cut();
    }
    // Each post of a cut connection is there as a whole or not at all, and the others are.
    let mut live = 0;
    while live < 20 {
        let (_, payload) = records.next().await.unwrap();
        if payload == b"live" {
            live += 1;
        } else {
            let round = u64::from_le_bytes(payload[payload.len() - 16..][..8].try_into().unwrap());
            assert_eq!(payload, self::payload(round, 0));
        }
    }
    server.end.send(()).unwrap();
    assert_eq!(records.next().await, None);
    drop(watching);
    tokio::time::timeout(PATIENCE, server.served).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn refusals_have_their_status() {
    let server = start().await;
    let mut client = Client::connect(server.address).await;
    let (status, _) = client.post(vec![0; server.log.record_bytes_max() + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut client = Client::connect(server.address).await;
    let first = client.append(vec![1; 16_000]).await;
    assert_eq!(client.from(first + 8).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(client.from(1 << 40).await.status(), StatusCode::NOT_FOUND);
    for _ in 0..20 {
        client.append(vec![2; 16_000]).await;
    }
    let log = server.log.clone();
    let start = tokio::task::spawn_blocking(move || log.retire_before(log.watermarks().published))
        .await
        .unwrap()
        .unwrap();
    assert!(start > Lsn::ZERO);
    let response = client.from(first).await;
    assert_eq!(response.status(), StatusCode::GONE);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(
        String::from_utf8_lossy(&body).contains(&start.to_string()),
        "{body:?} tells where the log begins"
    );
    let log = server.log.clone();
    tokio::task::spawn_blocking(move || log.close()).await.unwrap().unwrap();
    assert_eq!(client.post(b"too late".to_vec()).await.0, StatusCode::SERVICE_UNAVAILABLE);
}
