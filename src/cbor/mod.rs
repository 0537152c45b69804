//! Deterministic CBOR (RFC 8949, 4.2.1): reading it from bytes that nobody vouches for, and writing it.
//!
//! The subset that signed objects and messages use: unsigned integers, byte and text strings, booleans, arrays, and maps
//! with ascending unsigned integer keys. A general decoder accepts several encodings of a value, and then two byte strings
//! are one object; [`Reader`] accepts one.

mod reader;
mod writer;

pub use reader::{CborError, CborFault, FIRST_IGNORABLE_KEY, Kind, MAX_DEPTH, Reader};
pub use writer::MapWriter;
