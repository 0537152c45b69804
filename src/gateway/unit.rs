//! A unit of verified ciphertext, in the pieces in which it came: what is right is not copied.

use crate::units::Bytes as Octets;
use hyper::body::Bytes;

/// The ciphertext of one unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its number, counted from 0 in the file.
    pub index: u64,
    /// Its octets, in order.
    pub pieces: Vec<Bytes>,
}

impl Unit {
    /// Its size.
    pub fn len(&self) -> Octets {
        Octets(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }

    /// Whether it has no octets.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }
}
