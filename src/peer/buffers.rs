//! Memory for units that is used again. What is fresh from the system is filled page by page as it is first touched, which takes
//! about as long as to hash it.

use hyper::body::Bytes;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many buffers are kept that nobody uses, each of a unit.
const KEPT: usize = 4;

/// The buffers of one transfer. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Octets whose buffer goes back.
struct Lent {
    octets: Vec<u8>,
    back: Buffers,
}

impl Buffers {
    /// An empty buffer, with room where one came back.
    pub(super) fn take(&self) -> Vec<u8> {
        self.kept().pop().unwrap_or_default()
    }

    /// These octets, whose buffer comes back when the last who hold a part of them are done with it.
    pub(super) fn lend(&self, octets: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { octets, back: self.clone() })
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Nothing that is done under this lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut octets = mem::take(&mut self.octets);
        octets.clear();
        let mut kept = self.back.kept();
        if kept.len() < KEPT {
            kept.push(octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_when_its_last_part_is_dropped_and_few_are_kept() {
        let buffers = Buffers::default();
        let mut octets = buffers.take();
        octets.extend_from_slice(b"0123456789");
        let place = octets.as_ptr();
        let lent = buffers.lend(octets);
        let part = lent.slice(3..5);
        drop(lent);
        assert_eq!((&part[..], buffers.kept().len()), (&b"34"[..], 0));
        drop(part);
        let again = buffers.take();
        assert!(again.is_empty() && again.capacity() >= 10 && again.as_ptr() == place);
        let many: Vec<_> = (0..=KEPT).map(|_| buffers.lend(vec![0; 10])).collect();
        drop(many);
        assert_eq!(buffers.kept().len(), KEPT);
    }
}
