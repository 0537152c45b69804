//! A file to be served, wherever it lies.

use crate::gateway::away::{AwayError, AwayFile};
use crate::gateway::serve::Refusal;
use crate::gateway::shares::{File, ReadError};
use crate::gateway::unit::Unit;
use crate::lafs::manifest::UnitLayout;
use crate::units::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::ops::Range;

/// Units in order, each verified. After an error nothing more comes.
pub(super) type UnitStream = BoxStream<'static, Result<Unit, FetchError>>;

/// One version of a file.
pub(super) enum Opened {
    /// On our own storage servers.
    Own(File),
    /// On another grid.
    Away(AwayFile),
}

/// Why there is no manifest, or no unit.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Of our own grid.
    #[error(transparent)]
    Own(#[from] ReadError),
    /// Of another.
    #[error(transparent)]
    Away(#[from] AwayError),
}

impl FetchError {
    /// How it is told.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Own(error) => error.refusal(),
            Self::Away(error) => error.refusal(),
        }
    }
}

impl Opened {
    /// How it is cut into units.
    pub(super) fn layout(&self) -> UnitLayout {
        match self {
            Self::Own(file) => file.layout(),
            Self::Away(file) => file.layout(),
        }
    }

    /// The name of the version.
    pub(super) fn etag(&self) -> String {
        match self {
            Self::Own(file) => file.etag(),
            Self::Away(file) => file.etag(),
        }
    }

    /// Whether what verifies these units is at hand: of another grid's it is fetched otherwise, and owed for.
    pub(super) fn covers(&self, mut units: Range<u64>) -> bool {
        match self {
            Self::Own(_) => true,
            Self::Away(file) => units.all(|unit| file.covers(unit)),
        }
    }

    /// How many octets of another grid what verifies these units has at most; of our own none.
    pub(super) fn manifest_at_most(&self, units: &Range<u64>) -> Bytes {
        match self {
            Self::Own(_) => Bytes(0),
            Self::Away(file) => file.manifest_at_most(units),
        }
    }

    /// What a reader checks these units by, as it is sent.
    pub(super) async fn manifest(&self, units: Range<u64>) -> Result<Vec<u8>, FetchError> {
        Ok(match self {
            Self::Own(file) => file.manifest(units).await?.encode(),
            Self::Away(file) => file.manifest(units).await?.encode(),
        })
    }

    /// These units, for whoever may ask for them next: as long as nothing is to be paid for them.
    pub(super) fn free_units(&self, units: Range<u64>) -> UnitStream {
        match self {
            Self::Own(_) => self.units(units),
            Self::Away(file) => file.free().units(units).map(|unit| unit.map_err(FetchError::from)).boxed(),
        }
    }

    /// These units.
    pub(super) fn units(&self, units: Range<u64>) -> UnitStream {
        match self {
            Self::Own(file) => file.units(units).map(|unit| unit.map_err(FetchError::from)).boxed(),
            Self::Away(file) => file.units(units).map(|unit| unit.map_err(FetchError::from)).boxed(),
        }
    }
}
