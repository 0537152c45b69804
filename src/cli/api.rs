//! Asking the node that runs in a data directory, through its local API.

use crate::causes::chain;
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::config::{Home, peer_id, read_key};
use crate::http::{
    ApiFile, ClosedView, Code, ComparedLanesView, InstalledView, Problem, ReceiptView, ReloadedView, SettledView,
    StatusView, TakenView, answer_from_body,
};
use crate::keys::GridId;
use crate::record::Nickname;
use crate::resolver::{Answer, Question};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// How long a node may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);
/// How long it may take to publish, or to write to its disk.
const WORK: Duration = Duration::from_secs(120);
/// What the way to the node and back adds to the time that an answer may take.
const WAY: Duration = Duration::from_secs(5);
/// An answer with eight pieces of evidence takes about 20 kB.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// Whether a question about a grid that has moved is answered with its successor's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Successors {
    /// It is, as far as the move is vouched for.
    Followed,
    /// The record of that very grid is asked for.
    Left,
}

/// A node that runs in a data directory.
#[derive(Debug)]
pub(super) struct Api {
    url: String,
    agent: Agent,
}

impl Api {
    /// The node that runs in `home`, or why none can be asked.
    pub(super) fn needed(home: &Home) -> Outcome<Self> {
        Self::of_running_node(home)?.ok_or_else(|| {
            let dir = home.path().display();
            Failure::new(ExitCode::Unreachable, format!("no node is running in `{dir}`"))
                .hint(format!("start it with `clearinghouse run -d {dir}`"))
        })
    }

    /// The node that runs in `home`, if one does.
    pub(super) fn of_running_node(home: &Home) -> Outcome<Option<Self>> {
        let Some(file) = ApiFile::read(home)? else { return Ok(None) };
        let config = Agent::config_builder()
            // A proxy is for the world outside; this is the same machine.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let api = Self { url: file.url.clone(), agent: config.into() };
        // A node that was killed leaves its file behind, and by now another process may listen there.
        let own = peer_id(&read_key(&home.node_key())?).to_string();
        let greeting: Option<serde_json::Value> = api.get("/health", GREETING).ok();
        let is_ours = greeting.is_some_and(|greeting| greeting["peer_id"] == own.as_str());
        Ok(is_ours.then_some(api))
    }

    /// How the node stands.
    pub(super) fn status(&self) -> Outcome<StatusView> {
        self.get("/v1/status", GREETING)
    }

    /// How the node stands once it is ready, or after `wait`.
    pub(super) fn status_once_ready(&self, wait: Duration) -> Outcome<StatusView> {
        self.get(&format!("/v1/status?wait_ms={}", wait.as_millis()), wait + WAY)
    }

    /// The node's answer to `question`, verified here.
    pub(super) fn resolve(&self, question: Question, successors: Successors) -> Outcome<Answer> {
        let Question { grid, policy, deadline } = question;
        let (millis, follow) = (deadline.as_millis(), successors == Successors::Followed);
        let path = format!("/v1/resolve?grid={grid}&policy={policy}&deadline_ms={millis}&follow={follow}");
        let body = self.get_body(&path, deadline + WAY)?;
        answer_from_body(&body, &grid).map_err(|error| {
            Failure::because(ExitCode::Integrity, &error).about(format_args!("the node at {}", self.url))
        })
    }

    /// Publishes the own record.
    pub(super) fn publish(&self) -> Outcome<ReceiptView> {
        self.post("/v1/publish", &[])
    }

    /// Hands over a record or a delegation.
    pub(super) fn install(&self, bytes: &[u8]) -> Outcome<InstalledView> {
        self.post("/v1/install", bytes)
    }

    /// Has the node claim what is owed and fetch what others have booked.
    pub(super) fn settle(&self) -> Outcome<SettledView> {
        self.post("/v1/settle", &[])
    }

    /// Has the node compare vouchers with those of the other side: of a lane, or of a grid's lanes, as the query says.
    pub(super) fn compare_lanes(&self, query: &str) -> Outcome<ComparedLanesView> {
        self.post(&format!("/v1/disputes?{query}"), &[])
    }

    /// Closes what is in dispute of a lane, in somebody's words.
    pub(super) fn close_dispute(&self, lane: &str, by: &Nickname, reason: &Nickname) -> Outcome<ClosedView> {
        let word = |text: &Nickname| utf8_percent_encode(text.as_str(), NON_ALPHANUMERIC).to_string();
        self.post(&format!("/v1/disputes/close?lane={lane}&by={}&reason={}", word(by), word(reason)), &[])
    }

    /// Hands over what the operator has signed.
    pub(super) fn take_signed(&self, bytes: &[u8]) -> Outcome<TakenView> {
        self.post("/v1/signed", bytes)
    }

    /// Has the node read its settings again.
    pub(super) fn reload(&self) -> Outcome<ReloadedView> {
        self.post("/v1/reload", &[])
    }

    fn get<T: DeserializeOwned>(&self, path: &str, patience: Duration) -> Outcome<T> {
        self.parse(&self.get_body(path, patience)?)
    }

    fn get_body(&self, path: &str, patience: Duration) -> Outcome<Vec<u8>> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let response = request.config().timeout_global(Some(patience)).build().call();
        self.body(response)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Outcome<T> {
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/octet-stream");
        let response = request.config().timeout_global(Some(WORK)).build().send(bytes);
        self.parse(&self.body(response)?)
    }

    fn body(&self, response: Result<Response<ureq::Body>, ureq::Error>) -> Outcome<Vec<u8>> {
        let unreachable = |error: ureq::Error| {
            Failure::new(ExitCode::Unreachable, format!("the node at {} does not answer: {}", self.url, chain(&error)))
        };
        let mut response = response.map_err(unreachable)?;
        let body = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec().map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(body);
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.into(),
            Err(_) => Failure::new(ExitCode::Failed, format!("the node at {} answers {}", self.url, response.status())),
        })
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Outcome<T> {
        serde_json::from_slice(body).map_err(|error| {
            Failure::because(ExitCode::Failed, &error)
                .about(format_args!("the node at {} answers otherwise than this version does", self.url))
        })
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.code {
            Code::Failed => ExitCode::Failed,
            Code::Malformed => ExitCode::Malformed,
            Code::NotFound => ExitCode::NotFound,
            Code::Refused => ExitCode::Refused,
            Code::Expired => ExitCode::Expired,
            Code::Withdrawn => ExitCode::Withdrawn,
            Code::Moved => ExitCode::Moved,
            Code::Unreachable => ExitCode::Unreachable,
            Code::Integrity => ExitCode::Integrity,
        };
        Self::new(exit, problem.detail)
    }
}

/// Answers to one question of one grid differ in who is asked only.
pub(super) fn about_grid(failure: Failure, grid: &GridId, network: &str) -> Failure {
    let hint = match failure.exit {
        ExitCode::NotFound => {
            format!("does its operator publish on the network {network}? ask them, or check the grid id")
        }
        ExitCode::Expired => {
            "its operator must start its node again; `clearinghouse status` there tells why it stopped".to_owned()
        }
        ExitCode::Moved => format!("ask the operators of {grid}, by another way, for the grid id that is good now"),
        ExitCode::Unreachable => {
            "name a node that runs with `--bootstrap ADDR`; `clearinghouse status` there prints the address".to_owned()
        }
        ExitCode::Integrity => {
            "somebody withholds the newer record: try other nodes with `--bootstrap ADDR`".to_owned()
        }
        _ => return failure,
    };
    if failure.hint.is_some() { failure } else { failure.hint(hint) }
}
