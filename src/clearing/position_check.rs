//! A position held against what a grid holds itself: no clearing node is believed.

use crate::keys::GridId;
use crate::ledger::{Ledger, LedgerError, Pair, Part};
use crate::signed::Identity;
use crate::tariff::wire::{ChainFault, LaneId, Party, Payment, Position, PositionLine, SettledBy, Settlement};
use crate::units::Bytes;

/// What is wrong with a position.
#[derive(Debug, thiserror::Error)]
pub enum PositionFault {
    /// It does not continue the chain that is kept here.
    #[error("position {number} of {clearing}: {fault}")]
    Chain {
        /// Who signed it.
        clearing: GridId,
        /// Its number.
        number: u64,
        /// What is wrong.
        fault: ChainFault,
    },
    /// It names a lane that is not in our books, or on the other side of them.
    #[error("position {number} of {clearing} names lane {lane}, which is not in our books")]
    UnknownLane {
        /// Who signed it.
        clearing: GridId,
        /// Its number.
        number: u64,
        /// The lane.
        lane: LaneId,
    },
    /// It books a lane otherwise than the vouchers say.
    #[error(
        "position {number} of {clearing} books lane {lane} from {from} to {to}, and by our books it may go from {ours_from} to {ours_to}"
    )]
    OtherMarks {
        /// Who signed it.
        clearing: GridId,
        /// Its number.
        number: u64,
        /// The lane.
        lane: LaneId,
        /// From where on it books.
        from: Bytes,
        /// Up to where.
        to: Bytes,
        /// From where on it should.
        ours_from: Bytes,
        /// Up to where vouchers go.
        ours_to: Bytes,
    },
    /// The charge is not that of the lane's price.
    #[error("position {number} of {clearing} charges lane {lane} another amount than its price gives")]
    OtherCharge {
        /// Who signed it.
        clearing: GridId,
        /// Its number.
        number: u64,
        /// The lane.
        lane: LaneId,
    },
    /// It names a payment or a netting that nobody has shown.
    #[error("position {number} of {clearing} settles a debt by {proof}, for which there is no proof")]
    NoProof {
        /// Who signed it.
        clearing: GridId,
        /// Its number.
        number: u64,
        /// What it names.
        proof: Identity,
    },
    /// A clearing node has shown it before, and does not show it now.
    #[error("position {number} of {clearing}, which we were given, is not in the history that is shown now")]
    OtherHistory {
        /// Who signed it.
        clearing: GridId,
        /// Its number.
        number: u64,
    },
    /// The books could not be read.
    #[error(transparent)]
    Books(#[from] LedgerError),
}

impl PositionFault {
    /// The lane that it is about, where it is about one.
    pub fn lane(&self) -> Option<LaneId> {
        match self {
            Self::UnknownLane { lane, .. } | Self::OtherMarks { lane, .. } | Self::OtherCharge { lane, .. } => {
                Some(*lane)
            }
            Self::Chain { .. } | Self::NoProof { .. } | Self::OtherHistory { .. } | Self::Books(_) => None,
        }
    }
}

/// Holds `position` against the books of `grid`, which is one of its two. `payments` are those that came with it, verified.
pub(super) async fn check(
    ledger: &Ledger,
    grid: &GridId,
    last: Option<&Position>,
    position: &Position,
    payments: &[Payment],
) -> Result<(), PositionFault> {
    let body = position.body();
    let (clearing, number) = (body.clearing, body.number);
    body.follows(last).map_err(|fault| PositionFault::Chain { clearing, number, fault })?;
    let pair = Pair { first: body.first, second: body.second, asset: body.asset };
    let party = |party| if party == Party::First { pair.first } else { pair.second };
    for line in &body.lanes {
        self::lane(ledger, grid, position, line, &party(line.debtor)).await?;
    }
    for line in &body.settled {
        let debtor = party(line.debtor);
        if !is_proven(ledger, &pair, line, &debtor, payments).await? {
            return Err(PositionFault::NoProof { clearing, number, proof: line.proof });
        }
    }
    Ok(())
}

async fn lane(
    ledger: &Ledger,
    grid: &GridId,
    position: &Position,
    line: &PositionLine,
    debtor: &GridId,
) -> Result<(), PositionFault> {
    let body = position.body();
    let (clearing, number, lane) = (body.clearing, body.number, line.lane);
    let part = if debtor == grid { Part::Payer } else { Part::Payee };
    let unknown = PositionFault::UnknownLane { clearing, number, lane };
    let Some(state) = ledger.lane(part, lane).await? else { return Err(unknown) };
    let open = state.open.body();
    if open.payer != *debtor.key() || open.asset != body.asset {
        return Err(unknown);
    }
    let ours_to = state.voucher.as_ref().map_or(Bytes(0), |voucher| voucher.body().cum_bytes);
    let (ours_from, _) = ledger.posted(lane).await?;
    if line.from_bytes != ours_from || line.to_bytes > ours_to {
        let (from, to) = (line.from_bytes, line.to_bytes);
        return Err(PositionFault::OtherMarks { clearing, number, lane, from, to, ours_from, ours_to });
    }
    let charges = (open.charge(line.from_bytes), open.charge(line.to_bytes));
    if charges != (Some(line.from_amount), Some(line.to_amount)) {
        return Err(PositionFault::OtherCharge { clearing, number, lane });
    }
    Ok(())
}

async fn is_proven(
    ledger: &Ledger,
    pair: &Pair,
    line: &Settlement,
    debtor: &GridId,
    payments: &[Payment],
) -> Result<bool, LedgerError> {
    match line.by {
        SettledBy::Payment => {
            let kept = ledger.papers(&[line.proof]).await?;
            let kept = kept.iter().filter_map(|(_, _, bytes)| Payment::from_bytes(bytes).ok());
            let proves = |payment: &Payment| {
                let body = payment.body();
                let said = (body.creditor, body.debtor, body.asset, body.amount);
                payment.identity() == line.proof && said == (pair.other(debtor), *debtor, pair.asset, line.amount)
            };
            Ok(kept.chain(payments.iter().cloned()).any(|payment| proves(&payment)))
        }
        SettledBy::Netting => {
            ledger.has_settled(line.proof, debtor, &pair.other(debtor), pair.asset, line.amount).await
        }
    }
}
