//! A Tahoe-LAFS grid as its machines show it: the files of a node, its storage servers, and what answers at an address.
//!
//! It reads; it never writes to a grid. Which server is worth asking, and what the octets of a share mean, is for others.

mod announcement;
mod blessing;
mod connection;
mod error;
#[cfg(test)]
pub(crate) mod fixtures;
mod handle;
mod health;
mod list;
mod managers;
mod node_dir;
mod probe;
mod server;
mod server_id;
mod share_set;
mod yaml;

pub use blessing::NotBlessed;
pub use connection::Deadlines;
pub use error::{AnswerFault, ServerError};
pub use handle::{Grid, GridError, GridSettings, ListedServer, Standing};
pub use health::Health;
pub use list::ListFault;
pub use managers::ManagerError;
pub use node_dir::{NodeSecrets, TahoeNodeError};
pub use probe::{Answers, ProbeError, Secret, probe};
pub use server::{MAX_CONCURRENT_QUESTIONS, MAX_READ_BYTES, ShareKind, StorageServer};
pub use server_id::{ServerId, ServerIdError};
pub use yaml::{YamlError, YamlFault};
