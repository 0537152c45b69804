//! A signed statement with the positions that it rests on: whoever has nothing else computes every figure of it again.
//!
//! Specification: `docs/spec/clearing.md`, "Statements with their positions".

use crate::cbor::{CborError, CborFault, FIRST_IGNORABLE_KEY, Kind, MapWriter, Reader};
use crate::tariff::wire::{ChainFault, Position, Statement, WireError};
use crate::units::UnixSeconds;
use minicbor::Encoder;

const FORMAT: u64 = 0;
const STATEMENT: u64 = 1;
const POSITIONS: u64 = 2;
/// The one form that there is.
const FORMAT_1: u64 = 1;
/// The most positions; nothing is allocated by what a count claims.
const MOST: usize = 1 << 20;

/// A statement, and the positions from the last one before its period to the last one in it: all of them signed, and of one
/// history. Whether the figures follow from them is a question of arithmetic (`netting::check_proof`); whether the last of them is
/// the last of the period is the signer's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementProof {
    statement: Statement,
    positions: Vec<Position>,
}

/// Why a file is no statement, or what comes with it is not the history that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// Not the form.
    #[error("neither a statement nor one with its positions: {0}")]
    Form(#[from] CborError),
    /// Of a later format.
    #[error("a statement with its positions in format {0}, and this program knows format 1")]
    Format(u64),
    /// With a word of a later version that may not be passed over.
    #[error("a statement with its positions and key {0}, which this program does not know")]
    Later(u64),
    /// What should be the statement is not, or its signature does not hold.
    #[error("{0}")]
    Statement(WireError),
    /// One of the positions is none, or its signature does not hold.
    #[error("position {place}: {error}")]
    Position {
        /// Counted from 0.
        place: usize,
        /// What is wrong.
        error: WireError,
    },
    /// One of the positions does not follow from the one before it.
    #[error("position {place}: {fault}")]
    Chain {
        /// Counted from 0.
        place: usize,
        /// What is wrong.
        fault: ChainFault,
    },
    /// A position is older than the one that it follows.
    #[error("position {place} was signed before the one that it follows")]
    Order {
        /// Counted from 0.
        place: usize,
    },
    /// The first position is within the period, and others were before it.
    #[error("what was owed before the period is not shown: its last position before {0} is missing")]
    NoBeginning(UnixSeconds),
}

impl ProofFault {
    /// Whether the bytes are of no form that this program knows: nothing is said of whether they are true.
    pub fn is_form(&self) -> bool {
        matches!(self, Self::Form(_) | Self::Format(_) | Self::Later(_) | Self::Statement(WireError::Form { .. }))
    }
}

impl StatementProof {
    /// The statement with what of a chain it rests on.
    pub fn of(statement: Statement, chain: &[Position]) -> Result<Self, ProofFault> {
        let until = |time: UnixSeconds| chain.iter().take_while(|position| position.body().time < time).count();
        let (before, end) = (until(statement.body().from), until(statement.body().until));
        Self { positions: chain[before.saturating_sub(1)..end].to_vec(), statement }.one_history()
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// In the order of their numbers; none where the statement came alone.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    fn one_history(self) -> Result<Self, ProofFault> {
        for (place, pair) in (1..).zip(self.positions.windows(2)) {
            pair[1].body().follows(Some(&pair[0])).map_err(|fault| ProofFault::Chain { place, fault })?;
            if pair[1].body().time < pair[0].body().time {
                return Err(ProofFault::Order { place });
            }
        }
        // A first position is known to add up; any other is where the period begins.
        let first = self.positions.first().map(Position::body);
        let from = self.statement.body().from;
        if first.is_some_and(|first| first.number > 1 && first.time >= from) {
            return Err(ProofFault::NoBeginning(from));
        }
        Ok(self)
    }

    /// The bytes, as they are written to a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let signed = |bytes: &[u8]| {
            let mut item = Vec::with_capacity(bytes.len() + 5);
            Encoder::new(&mut item).bytes(bytes).expect("memory takes every byte");
            item
        };
        let positions: Vec<_> = self.positions.iter().map(|position| signed(position.bytes())).collect();
        let mut map = MapWriter::new();
        map.uint(FORMAT, FORMAT_1).bytes(STATEMENT, self.statement.bytes());
        if !positions.is_empty() {
            map.array(POSITIONS, &positions);
        }
        map.finish()
    }

    /// Reads them, or a statement alone as gateways give it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofFault> {
        let mut reader = Reader::new(bytes);
        // A signed object is an array; its own decoder says what is wrong with anything else.
        if !matches!(reader.peek(), Ok(Kind::Map)) {
            let statement = Statement::from_bytes(bytes).map_err(ProofFault::Statement)?;
            return Ok(Self { statement, positions: Vec::new() });
        }
        let (mut has_format, mut statement, mut positions) = (false, None, Vec::new());
        reader.map(|key, reader| -> Result<(), ProofFault> {
            match key {
                FORMAT => match reader.uint()? {
                    FORMAT_1 => has_format = true,
                    other => return Err(ProofFault::Format(other)),
                },
                STATEMENT => {
                    let bytes = reader.bytes(usize::MAX)?;
                    statement = Some(Statement::from_bytes(bytes).map_err(ProofFault::Statement)?);
                }
                POSITIONS => {
                    let mut place = 0..;
                    positions = reader.array(MOST, |reader| -> Result<_, ProofFault> {
                        let (bytes, place) = (reader.bytes(usize::MAX)?, place.next().unwrap_or_default());
                        Position::from_bytes(bytes).map_err(|error| ProofFault::Position { place, error })
                    })?;
                }
                key if key < FIRST_IGNORABLE_KEY => return Err(ProofFault::Later(key)),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let fault = reader.fault(CborFault::Expected("the format in key 0 and the statement in key 1"));
        reader.end()?;
        match statement {
            Some(statement) if has_format => Self { statement, positions }.one_history(),
            _ => Err(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::signed::Identity;
    use crate::tariff::wire::fixtures::{NOW, grid, usd};
    use crate::tariff::wire::{Party, PositionBody, PositionLine, Signed, StatementBody};
    use crate::units::{Bytes, MinorUnits, Seconds};

    fn key() -> SecretKey {
        SecretKey::from_seed(&[9; 32])
    }

    /// One position a day, each for another lane.
    fn chain(days: u8) -> Vec<Position> {
        let (first, second) = (grid(1).min(grid(2)), grid(1).max(grid(2)));
        let mut chain: Vec<Position> = Vec::new();
        for day in 0..days {
            let line = PositionLine {
                lane: Identity([day; 32]),
                debtor: Party::First,
                from_bytes: Bytes(0),
                to_bytes: Bytes(1),
                from_amount: MinorUnits(0),
                to_amount: MinorUnits(10),
            };
            let time = NOW.plus(Seconds::days(day.into()));
            let two = (first, second, usd());
            let body = PositionBody::next(chain.last(), grid(3), key().public(), two, time, vec![line], vec![]);
            chain.push(Signed::sign(&body.unwrap(), &key()).unwrap());
        }
        chain
    }

    /// Of the third and the fourth day.
    fn statement(chain: &[Position]) -> Statement {
        let body = StatementBody {
            issuer: grid(3),
            signer: key().public(),
            creditor: chain[0].body().second,
            debtor: chain[0].body().first,
            asset: usd(),
            from: NOW.plus(Seconds::days(2)),
            until: NOW.plus(Seconds::days(4)),
            position: Some(chain[3].identity()),
            brought_forward: MinorUnits(20),
            charged: MinorUnits(20),
            set_off: MinorUnits(0),
            settled: MinorUnits(0),
            payable: MinorUnits(0),
            carried: MinorUnits(40),
        };
        Signed::sign(&body, &key()).unwrap()
    }

    #[test]
    fn it_holds_the_last_position_before_the_period_and_those_in_it() {
        let chain = chain(6);
        let proof = StatementProof::of(statement(&chain), &chain).unwrap();
        assert_eq!(proof.positions().iter().map(|position| position.body().number).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(StatementProof::from_bytes(&proof.to_bytes()), Ok(proof));
        let alone = StatementProof::from_bytes(statement(&chain).bytes()).unwrap();
        assert_eq!((alone.statement(), alone.positions()), (&statement(&chain), &[][..]));
        assert_eq!(StatementProof::from_bytes(&alone.to_bytes()), Ok(alone));
    }

    #[test]
    fn a_history_with_a_hole_or_without_a_beginning_is_none() {
        let chain = chain(6);
        let of = |places: &[usize]| {
            let positions = places.iter().map(|place| chain[*place].clone()).collect();
            StatementProof::from_bytes(&StatementProof { statement: statement(&chain), positions }.to_bytes())
        };
        assert!(of(&[1, 2, 3]).is_ok() && of(&[0, 1, 2, 3]).is_ok());
        let hole = Err(ProofFault::Chain { place: 1, fault: ChainFault::Fork });
        assert_eq!((of(&[1, 3]), of(&[1, 1])), (hole.clone(), hole));
        assert_eq!(of(&[2, 3]), Err(ProofFault::NoBeginning(NOW.plus(Seconds::days(2)))));
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let chain = chain(4);
        let good = StatementProof::of(statement(&chain), &chain).unwrap().to_bytes();
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            assert!(StatementProof::from_bytes(&bytes).is_err(), "byte {place}");
            assert!(StatementProof::from_bytes(&good[..place]).is_err(), "{place} bytes");
        }
    }
}
