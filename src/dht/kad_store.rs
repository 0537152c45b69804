//! The book as libp2p-kad wants to see it: so that its GET answers with what we hold.
//!
//! Its PUT never comes this way: the driver filters it. Provider records are not ours and are never kept.

use crate::keys::RecordKey;
use crate::record::Verdict;
use crate::store::Book;
use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore};
use libp2p::kad::{ProviderRecord, Record, RecordKey as KadKey};
use std::borrow::Cow;
use std::iter::Empty;

/// The book inside kad.
pub(crate) struct KadStore(pub(crate) Book);

impl RecordStore for KadStore {
    type RecordsIter<'a> = Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &KadKey) -> Option<Cow<'_, Record>> {
        let grid = RecordKey::grid_id(key.as_ref())?;
        let value = self.0.current(&grid)?.bytes().to_vec();
        // No publisher: a record is its signer's, and a peer id in that field makes some nodes ignore the record.
        Some(Cow::Owned(Record { key: key.clone(), value, publisher: None, expires: None }))
    }

    fn put(&mut self, record: Record) -> Result<(), Error> {
        let grid = RecordKey::grid_id(record.key.as_ref()).ok_or(Error::ValueTooLarge)?;
        match self.0.offer(&grid, &record.value) {
            Verdict::Stored | Verdict::Held => Ok(()),
            _ => Err(Error::MaxRecords),
        }
    }

    fn remove(&mut self, _: &KadKey) {
        // kad removes what it believes expired by a time that came over the wire; expiry is in the record.
    }

    fn records(&self) -> Self::RecordsIter<'_> {
        // Only kad's own replication would read them, and it is off.
        std::iter::empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> Result<(), Error> {
        Err(Error::MaxProvidedKeys)
    }

    fn providers(&self, _: &KadKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }

    fn remove_provider(&mut self, _: &KadKey, _: &PeerId) {}
}
