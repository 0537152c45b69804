//! Positions and nettings on their way between a clearing node and the grids that it clears for.

use crate::clearing::desk::Posted;
use crate::clearing::nettings::MAX_NETTING_BYTES;
use crate::clearing::settle::RoundError;
use crate::netting::Proposal;
use crate::tariff::wire::{Payment, Position};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// The most nettings that are looked at of one clearing node.
pub const NETTINGS_AT_ONCE: usize = 4;
/// Four of the largest, in base64url.
pub(super) const MAX_NETTINGS_BYTES: usize = 2 << 20;
/// Sixteen positions and their payments in base64url.
pub(super) const MAX_POSITIONS_BYTES: usize = 1 << 20;

/// Positions on their way.
#[derive(Debug, Serialize, Deserialize)]
pub struct PositionsDocument {
    /// Each a `position/1`.
    pub positions_base64url: Vec<String>,
    /// The `payment/1` that these positions name.
    pub payments_base64url: Vec<String>,
}

impl PositionsDocument {
    /// These.
    pub fn of(posted: &Posted) -> Self {
        Self {
            positions_base64url: posted.positions.iter().map(|signed| BASE64URL_NOPAD.encode(signed.bytes())).collect(),
            payments_base64url: posted.payments.iter().map(|signed| BASE64URL_NOPAD.encode(signed.bytes())).collect(),
        }
    }

    /// What an answer holds, verified.
    pub(super) fn read(body: &[u8]) -> Result<Posted, RoundError> {
        let document: Self =
            serde_json::from_slice(body).map_err(|_| RoundError::Answer("not the JSON of positions"))?;
        let decoded = |text: &String| BASE64URL_NOPAD.decode(text.as_bytes());
        let decoded = |texts: &[String]| texts.iter().map(decoded).collect::<Result<Vec<_>, _>>();
        let not_text = |_| RoundError::Answer("what was signed is not in base64url");
        let positions = decoded(&document.positions_base64url).map_err(not_text)?;
        let payments = decoded(&document.payments_base64url).map_err(not_text)?;
        Ok(Posted {
            positions: positions.iter().map(|bytes| Position::from_bytes(bytes)).collect::<Result<_, _>>()?,
            payments: payments.iter().map(|bytes| Payment::from_bytes(bytes)).collect::<Result<_, _>>()?,
        })
    }
}

/// Nettings on their way.
#[derive(Debug, Serialize, Deserialize)]
pub struct NettingsDocument {
    /// Each the octets of a proposal.
    pub nettings_base64url: Vec<String>,
}

impl NettingsDocument {
    /// What came as an answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, RoundError> {
        serde_json::from_slice(body).map_err(|_| RoundError::Answer("not the JSON of nettings"))
    }

    /// As many as are looked at of one clearing node; larger ones than are kept are left out.
    pub(super) fn nettings(&self) -> impl Iterator<Item = Result<Proposal, RoundError>> {
        let read = |text: &String| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
            let bytes = bytes.map_err(|_| RoundError::Answer("a netting is not in base64url"))?;
            let netting = Proposal::from_bytes(&bytes).map_err(|_| RoundError::Answer("not a netting"))?;
            Ok((bytes.len() <= MAX_NETTING_BYTES).then_some(netting))
        };
        self.nettings_base64url.iter().take(NETTINGS_AT_ONCE).filter_map(move |text| read(text).transpose())
    }
}
