//! What each room's errors are to a person: an exit code and the next thing to try.

use crate::capability::{CapError, ForeignCapError, GridOrCapError, ReservedArea};
use crate::cli::exit::ExitCode;
use crate::cli::failure::Failure;
use crate::config::{ConfigError, FileError, KeyFileError};
use crate::dht::StartError;
use crate::gateway::GatewayIdentityError;
use crate::grid::TahoeNodeError;
use crate::http::{ApiError, Problem};
use crate::ledger::LedgerError;
use crate::members::{AddError, RemoveError, SignerError};
use crate::node::NodeError;
use crate::publisher::InstallError;
use crate::record::{DraftFileError, RecordError, SignError, TimeFault};
use crate::store::{FloorFileError, FormatError, LockError, OwnRecordError};
use std::io;

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let exit = match error.source.kind() {
            io::ErrorKind::NotFound => ExitCode::NotFound,
            io::ErrorKind::FileTooLarge => ExitCode::Malformed,
            _ => ExitCode::Failed,
        };
        Self::because(exit, &error)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        match error {
            KeyFileError::File(error) => error.into(),
            KeyFileError::Exposed { ref path, .. } => {
                let hint = format!(
                    "`chmod 600 {}` keeps other users out, as a folder of mode 700 around it does",
                    path.display()
                );
                Self::because(ExitCode::Refused, &error).hint(hint)
            }
            KeyFileError::NotAKey { .. } | KeyFileError::Json { .. } | KeyFileError::Version { .. } => {
                Self::because(ExitCode::Malformed, &error)
            }
        }
    }
}

impl From<GatewayIdentityError> for Failure {
    fn from(error: GatewayIdentityError) -> Self {
        match error {
            GatewayIdentityError::Key(error) => error.into(),
            GatewayIdentityError::Tls { .. } => Self::because(ExitCode::Malformed, &error)
                .hint("put that file aside: a new key is made, and the gateway then has another NURL"),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::File(error) => error.into(),
            _ => Self::because(ExitCode::Malformed, &error),
        }
    }
}

impl From<DraftFileError> for Failure {
    fn from(error: DraftFileError) -> Self {
        match error {
            DraftFileError::Earlier { name, error } => Self::from(error).about(name),
            _ => Self::because(ExitCode::Malformed, &error),
        }
    }
}

impl From<CapError> for Failure {
    fn from(error: CapError) -> Self {
        Self::because(ExitCode::Malformed, &error)
    }
}

impl From<ForeignCapError> for Failure {
    fn from(error: ForeignCapError) -> Self {
        Self::because(ExitCode::Malformed, &error)
    }
}

impl From<GridOrCapError> for Failure {
    fn from(error: GridOrCapError) -> Self {
        Self::because(ExitCode::Malformed, &error)
    }
}

impl From<ReservedArea> for Failure {
    fn from(error: ReservedArea) -> Self {
        Self::because(ExitCode::Malformed, &error)
    }
}

impl From<TahoeNodeError> for Failure {
    fn from(error: TahoeNodeError) -> Self {
        let exit = match error {
            TahoeNodeError::NotANode(_) => ExitCode::Malformed,
            TahoeNodeError::Unreadable { .. } => ExitCode::Failed,
        };
        Self::because(exit, &error)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match &error {
            RecordError::BadSignature { .. } => Self::because(ExitCode::Integrity, &error).hint(
                "is it the record of this grid? the grid id stands in the file's name, or is given with `--grid`",
            ),
            RecordError::Upgrade { .. } => Self::because(ExitCode::Failed, &error),
            RecordError::Time(fault) => (*fault).into(),
            RecordError::Empty { .. }
            | RecordError::TooBig { .. }
            | RecordError::Envelope { .. }
            | RecordError::Form { .. } => Self::because(ExitCode::Malformed, &error),
        }
    }
}

impl From<TimeFault> for Failure {
    fn from(fault: TimeFault) -> Self {
        match fault {
            TimeFault::Expired { .. } => Self::because(ExitCode::Expired, &fault),
            TimeFault::IssuedInFuture { .. } | TimeFault::SerialInFuture { .. } => {
                Self::because(ExitCode::Malformed, &fault).hint("compare this machine's clock with another")
            }
        }
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        match &error {
            SignError::Refused(source) => source.clone().into(),
            SignError::NotTheGridKey { .. } => Self::because(ExitCode::Malformed, &error)
                .hint("is `--grid-manager` the folder of this grid's manager?"),
            SignError::DelegationEnded { .. } => Self::because(ExitCode::Expired, &error)
                .hint("the grid's operator signs a new one with `clearinghouse delegate`"),
            SignError::Breach(_) => Self::because(ExitCode::Refused, &error).hint(
                "keep the promised price until its date; a lower price, a later date or another asset may be added",
            ),
            SignError::Withdrawn => Self::because(ExitCode::Withdrawn, &error),
            SignError::Overweight(_) => {
                Self::because(ExitCode::Malformed, &error).hint("leave something out, or shorten the heaviest field")
            }
            _ => Self::because(ExitCode::Malformed, &error),
        }
    }
}

impl From<OwnRecordError> for Failure {
    fn from(error: OwnRecordError) -> Self {
        match error {
            OwnRecordError::File(error) => error.into(),
            OwnRecordError::Damaged { ref path, .. } => {
                let hint = format!(
                    "move `{}` away and start the node again: it goes on from what the network holds of the grid",
                    path.display()
                );
                Self::because(ExitCode::Integrity, &error).hint(hint)
            }
        }
    }
}

impl From<FloorFileError> for Failure {
    fn from(error: FloorFileError) -> Self {
        match error {
            FloorFileError::File(error) => error.into(),
            FloorFileError::Damaged { ref path, .. } => {
                let hint = format!(
                    "put `{}` back from a backup, or delete it: then the next answer about that grid is believed as the first \
                     one was",
                    path.display()
                );
                Self::because(ExitCode::Integrity, &error).hint(hint)
            }
        }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let hint = match &error {
            InstallError::OtherPublisher { expected, .. } => Some(format!("delegate to `{expected}`")),
            InstallError::Stale { .. } => {
                Some("draft it anew from this node with `clearinghouse record draft`".to_owned())
            }
            _ => None,
        };
        Self { hint, ..Problem::from(error).into() }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::InUse { .. } => Self::because(ExitCode::Failed, &error).hint(
                "a node runs there already? `clearinghouse status` tells; a second one needs a directory of its own",
            ),
            LockError::Format(error) => error.into(),
            LockError::File(error) => error.into(),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let exit = match error {
            LedgerError::Missing { .. } => ExitCode::NotFound,
            LedgerError::Damaged { .. } | LedgerError::Differs { .. } => ExitCode::Integrity,
            LedgerError::Database { .. } => ExitCode::Unreachable,
            LedgerError::NoFile { .. } => ExitCode::Malformed,
            _ => ExitCode::Failed,
        };
        let hint = match error {
            LedgerError::Missing { .. } => {
                "it is made when a node first reads or serves for money; `-d DIR` or `--ledger` names another"
            }
            LedgerError::Damaged { .. } => {
                "keep this ledger as it is, and compare it with a backup: `ledger inspect` shows what it holds"
            }
            LedgerError::Database { .. } => {
                "is the database running, and does its address name a user that may open it?"
            }
            LedgerError::Newer { .. } => "use the program that wrote it, or a later one",
            LedgerError::Older { .. } => {
                "a node that keeps its books there brings them to the new version when it starts; a copy can be read by the program that made it"
            }
            LedgerError::Full { .. } => "make room: nothing that was acknowledged is lost",
            _ => return Self::because(exit, &error),
        };
        Self::because(exit, &error).hint(hint)
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Newer { .. } => Self::because(ExitCode::Failed, &error).hint(
                "a newer `clearinghouse` has worked in this directory: install that version again (`clearinghouse --version`)",
            ),
            FormatError::Damaged { ref path } => Self::because(ExitCode::Integrity, &error)
                .hint(format!("delete `{}`: the next start writes it anew", path.display())),
            FormatError::File(error) => error.into(),
        }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Lock(error) => error.into(),
            NodeError::File(error) => error.into(),
            NodeError::Key(error) => error.into(),
            NodeError::Own(error) => error.into(),
            NodeError::OtherGrid { .. } => Self::because(ExitCode::Malformed, &error),
            NodeError::Dht(StartError::Listen { .. }) => Self::because(ExitCode::Failed, &error)
                .hint("set another `listen` in clearinghouse.toml, or end the process that listens there"),
            NodeError::GatewayKeys(error) => error.into(),
            NodeError::GatewayListen { .. } => Self::because(ExitCode::Failed, &error)
                .hint("set another `gateway-listen` in clearinghouse.toml, or end the process that listens there"),
            NodeError::Web(_) => Self::because(ExitCode::Failed, &error)
                .hint("set another `web-listen` in clearinghouse.toml; port 0 takes a free one"),
            NodeError::Grid(_) => Self::because(ExitCode::Malformed, &error)
                .hint("`tahoe-node` names the folder of a Tahoe-LAFS node: the one with tahoe.cfg and private/ in it"),
            NodeError::Api(ApiError::Listen { .. }) => Self::because(ExitCode::Failed, &error)
                .hint("set another `api` in clearinghouse.toml; port 0 takes a free one"),
            _ => Self::because(ExitCode::Failed, &error),
        }
    }
}

impl From<AddError> for Failure {
    fn from(error: AddError) -> Self {
        match error {
            AddError::NameTaken { .. } => Self::because(ExitCode::Refused, &error)
                .hint("choose another name, or end that membership first with `clearinghouse client remove`"),
            AddError::Membership(_) => Self::because(ExitCode::Malformed, &error),
            AddError::File(error) => error.into(),
        }
    }
}

impl From<RemoveError> for Failure {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Unknown { .. } => {
                Self::because(ExitCode::NotFound, &error).hint("`clearinghouse client list` shows the names")
            }
            RemoveError::Membership(_) => Self::because(ExitCode::Failed, &error),
            RemoveError::File(error) => error.into(),
        }
    }
}

impl From<SignerError> for Failure {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::Key(error) => error.into(),
            SignerError::File(error) => error.into(),
            SignerError::NoKey => Self::because(ExitCode::Refused, &error).hint(
                "the operator of the grid key delegates to this node's publisher key: `clearinghouse delegate`, then \
                 `clearinghouse record install` here",
            ),
            SignerError::Delegation(_) => Self::because(ExitCode::Integrity, &error),
            SignerError::OtherGrid { .. } | SignerError::OtherPublisher { .. } => {
                Self::because(ExitCode::Malformed, &error)
            }
        }
    }
}
