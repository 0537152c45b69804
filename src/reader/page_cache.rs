//! Pages of manifests of immutable files, which stay true: a video that is wound to and fro asks for each once.

use crate::reader::source::Page;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many are kept, of at most 33 KiB each.
const MAX_PAGES: usize = 128;

/// A target's digest, and the first unit of the page.
type Key = (String, u64);

/// The pages used last, the newest in front.
#[derive(Debug, Default)]
pub(super) struct PageCache(VecDeque<(Key, Arc<dyn Page>)>);

impl PageCache {
    /// The page, if it is here.
    pub(super) fn of(&mut self, key: &Key) -> Option<Arc<dyn Page>> {
        let place = self.0.iter().position(|(kept, _)| kept == key)?;
        let entry = self.0.remove(place)?;
        let page = Arc::clone(&entry.1);
        self.0.push_front(entry);
        Some(page)
    }

    /// Keeps a page, in place of the one that was not used for longest.
    pub(super) fn put(&mut self, key: Key, page: Arc<dyn Page>) {
        self.0.retain(|(kept, _)| *kept != key);
        self.0.truncate(MAX_PAGES - 1);
        self.0.push_front((key, page));
    }
}
