//! A client's own books: a ledger for each process of it at work, in one folder.

use crate::clock::Clock;
use crate::config::create_private_dir;
use crate::ledger::{Ledger, LedgerError, Location};
use std::path::Path;

/// How many processes of one client keep books at once.
const BOOKS: usize = 64;

/// The first of the books in `folder` that no other process has open, made where there is none.
pub async fn client_books(folder: &Path, clock: Clock) -> Result<Ledger, LedgerError> {
    create_private_dir(folder)?;
    let mut number = 0;
    loop {
        let location = Location::Sqlite(folder.join(format!("{number}.sqlite")));
        match Ledger::open(location, clock.now()).await {
            Err(LedgerError::InUse { .. }) if number < BOOKS => number += 1,
            opened => return opened,
        }
    }
}
