//! A Tahoe-LAFS grid as its machines show it: the files of a node, its storage servers, and what answers at an address.
//!
//! It reads; it never writes to a grid. Which server is worth asking, and what the octets of a share mean, is for others.
//!
//! Without the feature `node` there are the decoders alone, for `fuzz/`.

mod announcement;
mod answer_fault;
mod blessing;
#[cfg(feature = "node")]
mod connection;
#[cfg(feature = "node")]
mod error;
#[cfg(all(test, feature = "node"))]
pub(crate) mod fixtures;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "node")]
mod handle;
#[cfg(feature = "node")]
mod health;
#[cfg(feature = "node")]
mod list;
#[cfg(feature = "node")]
mod managers;
#[cfg(feature = "node")]
mod node_dir;
#[cfg(feature = "node")]
mod probe;
#[cfg(feature = "node")]
mod server;
mod server_id;
mod share_set;
mod yaml;

pub use answer_fault::AnswerFault;
pub use blessing::NotBlessed;
#[cfg(feature = "node")]
pub use connection::Deadlines;
#[cfg(feature = "node")]
pub use error::ServerError;
#[cfg(feature = "node")]
pub use handle::{Grid, GridError, GridSettings, ListedServer, Standing};
#[cfg(feature = "node")]
pub use health::Health;
#[cfg(feature = "node")]
pub use list::ListFault;
#[cfg(feature = "node")]
pub use managers::ManagerError;
#[cfg(feature = "node")]
pub use node_dir::{NodeSecrets, TahoeNodeError};
#[cfg(feature = "node")]
pub use probe::{Answers, ProbeError, Secret, probe};
#[cfg(feature = "node")]
pub use server::{MAX_CONCURRENT_QUESTIONS, MAX_READ_BYTES, ShareKind, StorageServer};
pub use server_id::{ServerId, ServerIdError};
pub use yaml::{YamlError, YamlFault};
