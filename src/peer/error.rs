//! Why another gateway did not give what was asked for.

use crate::address::HostPort;
use crate::keys::GridId;
use crate::lafs::manifest::ManifestError;
use crate::peer::dial::DialError;
use crate::peer::refusal::{Refusal, RefusalCode};
use crate::record::RecordError;
use crate::units::Bytes;
use std::error::Error;
use std::io;

/// What went wrong with a gateway, and so what to do next.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// An onion service, which this version does not dial.
    #[error("`{0}` is reached through Tor, which this version does not speak")]
    Tor(HostPort),
    /// Whoever answers there has another key than the NURL names. Nothing was sent.
    #[error("`{place}` answers with another key than its address names: it is not that gateway")]
    WrongKey {
        /// The place.
        place: HostPort,
    },
    /// It answers, and TLS or HTTP does not come about.
    #[error("`{place}` does not speak as a gateway does")]
    Handshake {
        /// The place.
        place: HostPort,
        /// What went wrong.
        source: io::Error,
    },
    /// The connection was lost, and so it was after another try.
    #[error("the connection to `{place}` was lost")]
    Lost {
        /// The place.
        place: HostPort,
        /// What went wrong.
        source: io::Error,
    },
    /// No answer in time.
    #[error("`{place}` does not answer in time")]
    TimedOut {
        /// The place.
        place: HostPort,
    },
    /// It is another grid's gateway.
    #[error("`{place}` is a gateway of {found}")]
    OtherGrid {
        /// The place.
        place: HostPort,
        /// That grid.
        found: GridId,
    },
    /// A claim in the name of a grid needs its record, and there is none.
    #[error("the own grid has no record yet, without which nobody serves its gateway")]
    NoRecord,
    /// It answered, and refused.
    #[error("`{place}` {refusal}")]
    Refused {
        /// The place.
        place: HostPort,
        /// How.
        refusal: Box<Refusal>,
    },
    /// An answer that is none to the question.
    #[error("`{place}` answers otherwise than a gateway does: {what}")]
    Malformed {
        /// The place.
        place: HostPort,
        /// What is wrong with the answer.
        what: &'static str,
    },
    /// A record that does not verify.
    #[error("the record that `{place}` gives")]
    Record {
        /// The place.
        place: HostPort,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A manifest that does not verify to its cap.
    #[error("the manifest that `{place}` gives")]
    Manifest {
        /// The place.
        place: HostPort,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A literal cap, which is its own content: no gateway is asked for it.
    #[error("a literal cap is the file itself: there is nothing to fetch")]
    Literal,
    /// It has a price, and nobody may pay so much.
    #[error("reading costs {price}, and {limit}")]
    Price {
        /// What is asked, for people.
        price: String,
        /// What may be paid, for people.
        limit: String,
    },
    /// What the gateway proposes for a lane is not what was asked for, or not what its grid has published.
    #[error("`{place}` proposes a lane that is not agreed to: {what}")]
    Lane {
        /// The place.
        place: HostPort,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What is owed could not be written down, so that nothing more is fetched.
    #[error("what is owed cannot be written down: {0}")]
    Books(String),
    /// A unit of ciphertext that is not the one that the manifest names.
    #[error("unit {unit} from `{place}` does not match its hash")]
    Unit {
        /// The place.
        place: HostPort,
        /// Which unit, counted from 0.
        unit: u64,
    },
}

impl PeerError {
    /// The kind of failure, by the names of the program's exit codes.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Refused { refusal, .. } => refusal.code,
            Self::Dial(DialError::Private { .. }) | Self::NoRecord => RefusalCode::Refused,
            Self::Dial(_) | Self::Lost { .. } | Self::TimedOut { .. } => RefusalCode::Unreachable,
            // Something in front of it answers, and it does not: a proxy, a forwarded port.
            Self::Handshake { source, .. } if is_hung_up(source) => RefusalCode::Unreachable,
            Self::WrongKey { .. }
            | Self::OtherGrid { .. }
            | Self::Record { .. }
            | Self::Manifest { .. }
            | Self::Unit { .. }
            | Self::Lane { .. } => RefusalCode::Integrity,
            Self::Price { .. } => RefusalCode::Refused,
            Self::Literal => RefusalCode::Malformed,
            Self::Tor(_) | Self::Handshake { .. } | Self::Malformed { .. } | Self::Books(_) => RefusalCode::Failed,
        }
    }

    /// Whether it speaks against that gateway alone, which is silent, gone, busy, or lies: another one of its grid may do better.
    pub fn is_of_that_gateway(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.code == RefusalCode::Unreachable,
            Self::NoRecord | Self::Literal | Self::Price { .. } | Self::Books(_) => false,
            _ => true,
        }
    }

    /// Whether the lane that was named is open no more, so that another one is to be opened.
    pub fn is_lane_closed(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == RefusalCode::LaneClosed)
    }

    /// How many octets what was asked for has, where that is more than were wanted.
    pub fn longer(&self) -> Option<Bytes> {
        self.refusal().filter(|refusal| refusal.status == 413)?.octets.map(Bytes)
    }

    /// The refusal, where it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// Whether the other side closed the connection, of which HTTP tells in errors around the operating system's.
fn is_hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof};
    let closed = [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof];
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        let http = error.downcast_ref::<hyper::Error>();
        if io.is_some_and(|error| closed.contains(&error.kind()))
            || http.is_some_and(|error| error.is_closed() || error.is_incomplete_message())
        {
            return true;
        }
        // What `io::Error::other` was made from is its content, and not its source.
        next = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
