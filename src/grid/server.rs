//! A storage server, asked over HTTPS: which shares it has, and ranges of their octets.
//!
//! Protocol: Tahoe-LAFS `docs/specifications/http-storage-node-protocol.rst`. It is read from, never written to: no lease, no
//! advisory. What a share's octets mean is for others to say; nothing here vouches for them.

use crate::capability::StorageIndex;
use crate::grid::answer_fault::AnswerFault;
use crate::grid::connection::{Connection, Deadlines, Place, receive};
use crate::grid::error::ServerError;
use crate::grid::health::{Experience, Health};
use crate::grid::server_id::ServerId;
use crate::grid::share_set::{self, share_numbers};
use hyper::body::Bytes;
use hyper::header::{CONTENT_RANGE, HeaderMap};
use hyper::{Response, StatusCode};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Questions that one server is asked at a time, each on a connection of its own; further ones wait.
pub const MAX_CONCURRENT_QUESTIONS: usize = 8;
/// The most octets that are read at once: the largest block, 16 MiB, with its salt, twice over.
pub const MAX_READ_BYTES: u64 = 32 << 20;
/// Idle connections are closed before the server does it, after 60 s, so that no question meets a door that shuts.
const LONGEST_IDLE: Duration = Duration::from_secs(45);
/// What is read of an answer that is no success, so that the connection can be used on.
const MAX_REFUSAL_BYTES: u64 = 4 << 10;

/// Which of the two kinds of shares a cap leads to. It follows from the cap; a server must not be asked to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShareKind {
    /// Of CHK files.
    Immutable,
    /// Of SDMF and MDMF files.
    Mutable,
}

impl ShareKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::Mutable => "mutable",
        }
    }
}

/// A storage server with its connections. `Debug` shows its name and bears no secret.
pub struct StorageServer {
    id: ServerId,
    nickname: String,
    /// At least one.
    places: Vec<Place>,
    /// Which of them answered last.
    preferred: AtomicUsize,
    slots: Semaphore,
    idle: Mutex<Vec<Idle>>,
    experience: Mutex<Experience>,
    deadlines: Deadlines,
}

/// A connection that waits for its next question.
struct Idle {
    connection: Connection,
    /// Which of the places it leads to.
    place: usize,
    since: Instant,
}

/// A whole answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    more: bool,
}

impl StorageServer {
    /// The server at `places`, of which there is at least one.
    pub(super) fn new(id: ServerId, nickname: String, places: Vec<Place>, deadlines: Deadlines) -> Self {
        Self {
            id,
            nickname,
            places,
            preferred: AtomicUsize::new(0),
            slots: Semaphore::new(MAX_CONCURRENT_QUESTIONS),
            idle: Mutex::default(),
            experience: Mutex::default(),
            deadlines,
        }
    }

    /// Its public key: its name.
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// What it calls itself: at most 64 characters, none of which controls a terminal; may be empty or another's.
    pub fn nickname(&self) -> &str {
        &self.nickname
    }

    /// How it has been doing.
    pub fn health(&self) -> Health {
        self.experience().health(Instant::now())
    }

    /// How many more questions could be asked at once without waiting.
    pub fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// Counts a failure that only the caller can see: a share that does not verify.
    pub fn blame(&self) {
        self.experience().blamed(Instant::now());
    }

    /// The numbers of the shares that it has at `index`, ascending; none if it knows nothing of it.
    ///
    /// Safe to drop halfway: the connection is closed.
    pub async fn shares(&self, kind: ShareKind, index: &StorageIndex) -> Result<Vec<u16>, ServerError> {
        let path = format!("/storage/v1/{}/{index}/shares", kind.word());
        self.counted(async {
            let answer = self.ask(&path, None, share_set::MAX_ANSWER_BYTES).await?;
            match answer.status {
                StatusCode::OK if answer.more => Err(ServerError::Malformed(AnswerFault::TooLong)),
                StatusCode::OK => share_numbers(&answer.body).map_err(ServerError::Malformed),
                status => Err(refusal(status)),
            }
        })
        .await
    }

    /// `length` octets of a share from `offset` on; fewer where the share ends before, none where it ends before `offset`.
    ///
    /// At most [`MAX_READ_BYTES`]. Safe to drop halfway: the connection is closed.
    pub async fn read(
        &self,
        kind: ShareKind,
        index: &StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, ServerError> {
        if length > MAX_READ_BYTES {
            return Err(ServerError::TooMuchAsked { asked: length, limit: MAX_READ_BYTES });
        }
        // No share reaches that far.
        let Some(end) = offset.checked_add(length).filter(|end| *end > offset) else { return Ok(Bytes::new()) };
        let range = offset..=end - 1;
        let path = format!("/storage/v1/{}/{index}/{share}", kind.word());
        self.counted(async {
            let answer = self.ask(&path, Some(range.clone()), length).await?;
            match answer.status {
                StatusCode::PARTIAL_CONTENT => part(answer, &range),
                // Nothing lies there: the share ends at `offset` or before.
                StatusCode::NO_CONTENT => Ok(Bytes::new()),
                // The whole share, from a server that takes no notice of ranges.
                StatusCode::OK if offset == 0 => Ok(answer.body),
                status => Err(refusal(status)),
            }
        })
        .await
    }

    /// Waits for a turn, and remembers how the question went.
    async fn counted<T>(&self, question: impl Future<Output = Result<T, ServerError>>) -> Result<T, ServerError> {
        let _slot = self.slots.acquire().await.expect("the slots are never closed");
        let outcome = question.await;
        match &outcome {
            Err(error) if error.is_the_servers_fault() => self.experience().failed(Instant::now()),
            _ => self.experience().succeeded(),
        }
        outcome
    }

    async fn ask(&self, path: &str, range: Option<RangeInclusive<u64>>, limit: u64) -> Result<Answer, ServerError> {
        let (connection, place, response) = self.begin(path, range).await?;
        let (head, body) = response.into_parts();
        let limit = if head.status.is_success() { limit } else { MAX_REFUSAL_BYTES };
        let received = receive(body, limit, &self.deadlines).await?;
        if !received.more && connection.is_open() {
            self.idle().push(Idle { connection, place, since: Instant::now() });
        }
        Ok(Answer { status: head.status, headers: head.headers, body: received.bytes.into(), more: received.more })
    }

    /// The head of an answer, over an idle connection if one is still good, else over a new one.
    async fn begin(
        &self,
        path: &str,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<(Connection, usize, Response<hyper::body::Incoming>), ServerError> {
        while let Some(Idle { mut connection, place, .. }) = self.take_idle() {
            let asked = Instant::now();
            match connection.ask(&self.places[place], path, range.clone(), &self.deadlines).await {
                Ok(response) => {
                    self.experience().answered(asked.elapsed());
                    return Ok((connection, place, response));
                }
                // The server had closed it meanwhile: nothing is known of the server, and to ask again does no harm.
                Err(ServerError::Broken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (mut connection, place) = self.connect().await?;
        let asked = Instant::now();
        let response = connection.ask(&self.places[place], path, range, &self.deadlines).await?;
        self.experience().answered(asked.elapsed());
        Ok((connection, place, response))
    }

    /// A connection to the first of the places that answers, beginning with the one that answered last.
    async fn connect(&self) -> Result<(Connection, usize), ServerError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = ServerError::TimedOut;
        for place in (0..self.places.len()).map(|step| (first + step) % self.places.len()) {
            match Connection::open(&self.places[place], &self.deadlines).await {
                Ok(connection) => {
                    self.preferred.store(place, Ordering::Relaxed);
                    return Ok((connection, place));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.connection.is_open() && idle.since.elapsed() < LONGEST_IDLE);
        // The one used last is the least likely to be closed.
        idle.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn experience(&self) -> MutexGuard<'_, Experience> {
        self.experience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StorageServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageServer({} {:?})", self.id.short(), self.nickname)
    }
}

/// A 206 whose header and body agree with each other and with the question.
fn part(answer: Answer, asked: &RangeInclusive<u64>) -> Result<Bytes, ServerError> {
    let header = answer.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let (start, end) = header.and_then(content_range).ok_or(ServerError::Malformed(AnswerFault::Range))?;
    if start != *asked.start() || end > *asked.end() || end < start {
        return Err(ServerError::Malformed(AnswerFault::Range));
    }
    let (received, said) = (answer.body.len() as u64, end - start + 1);
    if answer.more || received > said {
        return Err(ServerError::Malformed(AnswerFault::TooLong));
    }
    if received < said {
        return Err(ServerError::Malformed(AnswerFault::TooShort { received, said }));
    }
    Ok(answer.body)
}

/// First and last octet of `bytes 0-67/*`; what stands after the stroke tells nothing.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, _) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

fn refusal(status: StatusCode) -> ServerError {
    match status {
        StatusCode::NOT_FOUND => ServerError::NoSuchShare,
        StatusCode::UNAUTHORIZED => ServerError::Refused,
        status => ServerError::Status(status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fixtures::{Answers, FakeServer, PATIENCE, Reply};
    use std::sync::Arc;

    const INDEX: StorageIndex = StorageIndex::new([7; 16]);
    const PATH: &str = "/storage/v1/immutable/a4dqobyha4dqobyha4dqobyha4/2";

    /// A server of which each question is answered by `answers`, and its client.
    async fn served(answers: impl Answers) -> (FakeServer, StorageServer) {
        let fake = FakeServer::start(answers).await;
        let server = fake.storage_server();
        (fake, server)
    }

    async fn read(server: &StorageServer, offset: u64, length: u64) -> Result<Bytes, ServerError> {
        server.read(ShareKind::Immutable, &INDEX, 2, offset, length).await
    }

    async fn fault(reply: Reply) -> AnswerFault {
        let (_fake, server) = served(move |_: &_| reply.clone()).await;
        match read(&server, 10, 10).await {
            Err(ServerError::Malformed(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_question_bears_the_secret_and_the_range_and_no_more() {
        let (fake, server) = served(|_: &_| Reply::part(5, b"hello")).await;
        assert_eq!(read(&server, 5, 5).await.unwrap(), "hello");
        let asked = fake.asked();
        assert_eq!((asked[0].path.as_str(), asked[0].range), (PATH, Some((5, 9))));
        assert!(asked[0].has_the_secret);
        assert_eq!(asked[0].header("accept"), Some("application/octet-stream"));
    }

    #[tokio::test]
    async fn the_end_of_a_share_shortens_the_answer() {
        let share: Vec<u8> = (0..100).collect();
        let (_fake, server) = served(move |asked: &_| Reply::of_share(&share, asked)).await;
        assert_eq!(read(&server, 90, 20).await.unwrap(), (90..100).collect::<Vec<u8>>());
        assert_eq!(read(&server, 100, 20).await.unwrap(), "");
        assert_eq!(read(&server, u64::MAX - 3, 20).await.unwrap(), "");
        assert_eq!(read(&server, 50, 0).await.unwrap(), "");
        assert_eq!(read(&server, 0, 100).await.unwrap().len(), 100);
    }

    #[tokio::test]
    async fn one_connection_serves_many_questions_and_many_at_once_take_eight() {
        let (fake, server) = served(|_: &_| Reply::part(0, b"x")).await;
        for _ in 0..5 {
            read(&server, 0, 1).await.unwrap();
        }
        assert_eq!(fake.connections(), 1);

        let (fake, server) = served(|_: &_| Reply::Stall(Vec::new())).await;
        let server = Arc::new(server);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { read(&server, 0, 1).await })
            })
            .collect();
        fake.until(|fake| fake.asked().len() == MAX_CONCURRENT_QUESTIONS).await;
        assert_eq!(server.free_slots(), 0);
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        for task in waiting {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!((fake.asked().len(), server.free_slots()), (MAX_CONCURRENT_QUESTIONS, MAX_CONCURRENT_QUESTIONS));
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_meanwhile_is_replaced() {
        let (fake, server) = served(|_: &_| Reply::part(0, b"x")).await;
        read(&server, 0, 1).await.unwrap();
        fake.close_connections();
        assert_eq!(read(&server, 0, 1).await.unwrap(), "x");
        assert_eq!((fake.connections(), server.health().consecutive_failures), (2, 0));
    }

    #[tokio::test]
    async fn a_server_that_stalls_is_left_where_it_stalls() {
        let head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/*\r\nContent-Length: 10\r\n\r\nhalf";
        for (stalls_after, expected) in [("", "no answer in time"), (head, "it stalled after 4 bytes of its answer")] {
            let (_fake, mut server) = served(move |_: &_| Reply::Stall(stalls_after.into())).await;
            let soon = Duration::from_millis(50);
            server.deadlines = Deadlines {
                first_byte: if stalls_after.is_empty() { soon } else { PATIENCE },
                stall: soon,
                connect: PATIENCE,
                octets_per_second: 1,
            };
            let error = read(&server, 0, 10).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(server.health().consecutive_failures, 1);
            assert!(!server.health().pause.is_zero());
        }
    }

    #[tokio::test]
    async fn a_server_that_sends_an_octet_before_each_deadline_is_left_all_the_same() {
        let head = [&Reply::head_of_part(0, 9_999)[..], b"Content-Length: 10000\r\n\r\n"].concat();
        let reply = Reply::Trickle { head, pause: Duration::from_millis(20) };
        let (_fake, mut server) = served(move |_: &_| reply.clone()).await;
        let stall = Duration::from_millis(400);
        server.deadlines = Deadlines { connect: PATIENCE, first_byte: PATIENCE, stall, octets_per_second: 4_000 };
        match read(&server, 0, 10_000).await {
            Err(ServerError::Stalled { received }) => assert!((1..1_000).contains(&received), "{received}"),
            other => panic!("{other:?}"),
        }
        // A slow one that keeps the pace is read to its end, however long that takes.
        let head = [&Reply::head_of_part(0, 29)[..], b"Content-Length: 30\r\n\r\n"].concat();
        let reply = Reply::Trickle { head, pause: Duration::from_millis(20) };
        let (_fake, mut server) = served(move |_: &_| reply.clone()).await;
        server.deadlines = Deadlines { connect: PATIENCE, first_byte: PATIENCE, stall, octets_per_second: 1 };
        assert_eq!(read(&server, 0, 30).await.unwrap(), [0; 30].as_slice());
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_no_answer() {
        let chunked = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/*\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        for (text, received) in [(chunked, 4), ("HTTP/1.1 206 Par", 0), ("", 0), ("no HTTP at all\r\n\r\n", 0)] {
            let (_fake, server) = served(move |_: &_| Reply::Close(text.into())).await;
            match read(&server, 0, 10).await {
                Err(ServerError::Broken { received: found, .. }) => assert_eq!(found, received, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_refused() {
        assert_eq!(fault(Reply::part(9, b"0123456789")).await, AnswerFault::Range);
        assert_eq!(fault(Reply::part(10, &[0; 11])).await, AnswerFault::Range);
        assert_eq!(fault(Reply::part(11, b"0")).await, AnswerFault::Range);
        assert_eq!(fault(Reply::status(206, b"0123456789")).await, AnswerFault::Range);
        let said = |range: &str, body: &str| {
            let length = body.len();
            let head =
                format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\nContent-Length: {length}\r\n\r\n");
            Reply::Raw(format!("{head}{body}").into())
        };
        assert_eq!(fault(said("bytes 10-19/*", "01234")).await, AnswerFault::TooShort { received: 5, said: 10 });
        assert_eq!(fault(said("bytes 10-14/*", "0123456789")).await, AnswerFault::TooLong);
        assert_eq!(fault(said("bytes 10-19/*", "0123456789A")).await, AnswerFault::TooLong);
        assert_eq!(fault(said("bytes 10-9/*", "")).await, AnswerFault::Range);
        assert_eq!(fault(said("bytes */100", "")).await, AnswerFault::Range);
        assert_eq!(fault(said("octets 10-19/*", "0123456789")).await, AnswerFault::Range);
    }

    #[tokio::test]
    async fn an_endless_body_is_left_when_enough_has_come() {
        let (fake, server) = served(|_: &_| Reply::Endless { head: Reply::head_of_part(0, 9) }).await;
        assert!(matches!(read(&server, 0, 10).await, Err(ServerError::Malformed(AnswerFault::TooLong))));
        // And of an error's text no more than a little is read.
        let (other, refusing) = served(|_: &_| Reply::Endless { head: b"HTTP/1.1 500 x\r\n".to_vec() }).await;
        assert!(matches!(read(&refusing, 0, 10).await, Err(ServerError::Status(500))));
        // Neither connection is used again, or left open.
        fake.until(|fake| fake.open_connections() == 0).await;
        other.until(|other| other.open_connections() == 0).await;
    }

    #[tokio::test]
    async fn each_status_is_told_apart() {
        for (status, expected) in [
            (401, "it refuses the secret that it announced"),
            (404, "it has no such share"),
            (416, "it answered with status 416"),
            (500, "it answered with status 500"),
            (302, "it answered with status 302"),
        ] {
            let (_fake, server) = served(move |_: &_| Reply::status(status, b"<html>")).await;
            assert_eq!(read(&server, 3, 4).await.unwrap_err().to_string(), expected);
            let is_fault = status != 404;
            assert_eq!(server.health().consecutive_failures, u32::from(is_fault), "{status}");
            let error = server.shares(ShareKind::Mutable, &INDEX).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let (_fake, server) = served(|_: &_| Reply::status(200, b"the whole share")).await;
        assert_eq!(read(&server, 0, 9).await.unwrap(), "the whole");
        assert_eq!(read(&server, 0, 99).await.unwrap(), "the whole share");
        assert!(matches!(read(&server, 1, 9).await, Err(ServerError::Status(200))));
    }

    #[tokio::test]
    async fn too_much_is_not_asked_for() {
        let (fake, server) = served(|_: &_| Reply::status(500, b"")).await;
        assert!(matches!(read(&server, 0, MAX_READ_BYTES + 1).await, Err(ServerError::TooMuchAsked { .. })));
        assert_eq!((fake.connections(), server.health()), (0, Health::default()));
    }

    #[tokio::test]
    async fn a_list_of_shares_is_a_set_of_a_bounded_length() {
        let (fake, server) = served(|_: &_| Reply::status(200, &[0xd9, 1, 2, 0x82, 5, 1])).await;
        assert_eq!(server.shares(ShareKind::Mutable, &INDEX).await.unwrap(), [1, 5]);
        assert_eq!(fake.asked()[0].path, format!("/storage/v1/mutable/{INDEX}/shares"));
        assert_eq!(fake.asked()[0].header("accept"), Some("application/cbor"));

        let (_fake, server) = served(|_: &_| Reply::status(200, b"[1, 5]")).await;
        let error = server.shares(ShareKind::Immutable, &INDEX).await.unwrap_err();
        assert!(matches!(error, ServerError::Malformed(AnswerFault::ShareSet)), "{error}");
        let (_fake, server) = served(|_: &_| Reply::status(200, &[0; 5_000])).await;
        let error = server.shares(ShareKind::Immutable, &INDEX).await.unwrap_err();
        assert!(matches!(error, ServerError::Malformed(AnswerFault::TooLong)), "{error}");
    }

    #[tokio::test]
    async fn another_key_is_not_asked_and_the_next_address_is_tried() {
        let fake = FakeServer::start(|_: &_| Reply::part(0, b"x")).await;
        let wrong = fake.storage_server_at(&[fake.nurl_with_another_key()]);
        assert!(matches!(read(&wrong, 0, 1).await, Err(ServerError::WrongKey)));
        assert!(fake.asked().is_empty());

        let several = fake.storage_server_at(&[fake.nurl_with_another_key(), fake.nurl()]);
        assert_eq!(read(&several, 0, 1).await.unwrap(), "x");
        let tried = fake.connections();
        fake.close_connections();
        assert_eq!(read(&several, 0, 1).await.unwrap(), "x");
        assert_eq!(fake.connections(), tried + 1, "the one that answered last is tried first");
    }

    #[tokio::test]
    async fn what_does_not_listen_is_unreachable() {
        let fake = FakeServer::start(|_: &_| Reply::part(0, b"x")).await;
        let server = fake.storage_server();
        fake.stop().await;
        let error = read(&server, 0, 1).await.unwrap_err();
        assert!(matches!(error, ServerError::Unreachable(_)), "{error:?}");
    }

    #[tokio::test]
    async fn no_error_and_no_debug_shows_a_secret() {
        let (fake, server) =
            served(|_: &_| Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec())).await;
        let secret = fake.nurl().swissnum().to_owned();
        let broken = read(&server, 0, 1).await.unwrap_err();
        let wrong = read(&fake.storage_server_at(&[fake.nurl_with_another_key()]), 0, 1).await.unwrap_err();
        fake.stop().await;
        let unreachable = read(&server, 0, 1).await.unwrap_err();
        for error in [broken, wrong, unreachable] {
            let shown = format!("{error} {error:?} {server:?}");
            assert!(!shown.contains(&secret) && !shown.contains("pb://"), "{shown}");
        }
    }
}
