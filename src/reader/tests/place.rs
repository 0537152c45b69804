//! What each test begins with.

use crate::reader::Reader;
use crate::reader::memory::Memory;
use std::sync::Mutex;

/// A reader of a memory, and a folder that is gone at the end.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) memory: Memory,
    pub(super) reader: Reader,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::default();
        let reader = memory.reader(folder.path());
        Self { folder, memory, reader }
    }
}

/// Bytes that differ from place to place.
pub(super) fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Collects what is told.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<String>>);

impl Told {
    pub(super) fn tell(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
