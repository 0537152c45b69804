//! Evidence bundles: what a third party needs to compute a bill by itself, and nothing else.
//!
//! Of each lane what both sides signed and the best voucher; beside them the terms, and the records and decks that give the
//! prices. Specification: `docs/spec/clearing.md`, "Evidence bundles".

use crate::cbor::{CborError, CborFault, FIRST_IGNORABLE_KEY, MapWriter, Reader};
use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::record::{GridRecord, Roles, binding_price};
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::{Deck, LaneId, LaneOpen, LaneOpenBody, Side, SignedByBoth, Terms, Voucher};
use crate::units::{Bytes, MinorUnits};
use minicbor::Encoder;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::{self, Write};

const FORMAT: u64 = 0;
const PAPERS: u64 = 1;
const LANES: u64 = 2;
/// The one form that there is.
const FORMAT_1: u64 = 1;

const KIND: u64 = 0;
const GRID: u64 = 1;
const BYTES: u64 = 2;

const OPEN: u64 = 0;
const VOUCHER: u64 = 1;

/// The most lanes, and the most papers. Nothing is allocated by what a count claims.
const MOST: usize = 16 << 20;

/// What goes into a bundle; nothing of it need be verified by whoever makes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    /// Terms, decks and records, by kind and the grid they belong to.
    pub papers: Vec<BundlePaper>,
    /// What both sides of a lane signed, and its best voucher.
    pub lanes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A signed object in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePaper {
    /// What it is: terms, a deck, or a record.
    pub kind: ObjectType,
    /// Whose it is; part of the identity of a record.
    pub grid: [u8; 32],
    /// The signed bytes.
    pub bytes: Vec<u8>,
}

impl Bundle {
    /// The bytes of the bundle.
    pub fn to_bytes(&self) -> Vec<u8> {
        let write = || {
            let mut writer = BundleWriter::new(Vec::new());
            writer.head(self.papers.len() as u64, self.lanes.len() as u64)?;
            self.papers.iter().try_for_each(|paper| writer.paper(paper))?;
            self.lanes.iter().try_for_each(|(open, voucher)| writer.lane(open, voucher))?;
            writer.finish()
        };
        write().expect("memory takes every byte, and all are counted")
    }
}

/// Writes a bundle piece by piece, so that none of it need be in memory: it begins with how much there will be.
#[derive(Debug)]
pub struct BundleWriter<W> {
    out: W,
    /// What is still to come.
    papers: u64,
    lanes: u64,
}

impl<W: Write> BundleWriter<W> {
    /// Nothing is written yet; the head is to come first.
    pub fn new(out: W) -> Self {
        Self { out, papers: 0, lanes: 0 }
    }

    /// Begins a bundle of so many papers and, after them, lanes.
    pub fn head(&mut self, papers: u64, lanes: u64) -> io::Result<()> {
        let entries = 1 + u64::from(papers > 0) + u64::from(lanes > 0);
        self.out.write_all(&encoded(|encoder| encoder.map(entries)?.u64(FORMAT)?.u64(FORMAT_1)?.ok()))?;
        if papers > 0 {
            self.out.write_all(&encoded(|encoder| encoder.u64(PAPERS)?.array(papers)?.ok()))?;
        }
        (self.papers, self.lanes) = (papers, lanes);
        self.begin_lanes()
    }

    /// Where the last paper is written, lanes begin.
    fn begin_lanes(&mut self) -> io::Result<()> {
        if self.papers > 0 || self.lanes == 0 {
            return Ok(());
        }
        let head = encoded(|encoder| encoder.u64(LANES)?.array(self.lanes)?.ok());
        self.out.write_all(&head)
    }

    /// The next paper.
    pub fn paper(&mut self, paper: &BundlePaper) -> io::Result<()> {
        self.papers = self.papers.checked_sub(1).ok_or_else(miscounted)?;
        let mut map = MapWriter::new();
        map.text(KIND, paper.kind.name()).bytes(GRID, &paper.grid).bytes(BYTES, &paper.bytes);
        self.out.write_all(&map.finish())?;
        self.begin_lanes()
    }

    /// The next lane: what both sides signed, and its best voucher.
    pub fn lane(&mut self, open: &[u8], voucher: &[u8]) -> io::Result<()> {
        self.lanes = self.lanes.checked_sub(1).filter(|_| self.papers == 0).ok_or_else(miscounted)?;
        self.out.write_all(&MapWriter::new().bytes(OPEN, open).bytes(VOUCHER, voucher).finish())
    }

    /// What it was written to, if all that was announced came.
    pub fn finish(mut self) -> io::Result<W> {
        if (self.papers, self.lanes) != (0, 0) {
            return Err(miscounted());
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn encoded(
    write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes)).expect("memory takes every byte");
    bytes
}

fn miscounted() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a bundle has as many papers and lanes as it begins with, in this order",
    )
}

/// What one party owes another by a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bill {
    /// How many lanes.
    pub lanes: u64,
    /// Octets vouched for on all of them.
    pub bytes: u128,
    /// The sum of their charges, in minor units.
    pub amount: u128,
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BundleReport {
    /// By payer, payee and asset.
    pub bills: BTreeMap<(PublicKey, GridId, Asset), Bill>,
    /// How many lanes were opened by a key that no record in the bundle gives to its party. The signatures hold; whose key it
    /// is has to be known from elsewhere, as it is of a client.
    pub unnamed_keys: u64,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not the form.
    #[error("not an evidence bundle: {0}")]
    Form(#[from] CborError),
    /// Of a later format.
    #[error("an evidence bundle of format {0}, and this program knows format 1")]
    Format(u64),
    /// With a word of a later version that may not be passed over.
    #[error("an evidence bundle with key {0}, which this program does not know")]
    Later(u64),
    /// A paper in it is not what it is said to be.
    #[error("paper {place}: {what}")]
    Paper {
        /// Counted from 0.
        place: usize,
        /// What is wrong.
        what: String,
    },
    /// A lane in it does not hold.
    #[error("lane {place} ({lane}): {fault}")]
    Lane {
        /// Counted from 0.
        place: usize,
        /// Its name, as far as it could be read; its place where it could not.
        lane: String,
        /// What is wrong.
        fault: LaneFault,
    },
}

/// What is wrong with a lane of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaneFault {
    /// Not what both sides signed, or the voucher is not one of it.
    #[error("{0}")]
    Signed(String),
    /// It is in the bundle before: it would be billed twice.
    #[error("the same lane a second time")]
    Twice,
    /// The terms that it names are missing.
    #[error("the terms {0} that it was opened under are not in the bundle")]
    NoTerms(Identity),
    /// The terms are of other parties, another asset or another time.
    #[error("the terms {0} are not for this lane")]
    OtherTerms(Identity),
    /// The record or deck that gives the price is missing.
    #[error("the record or deck {0} that gives its price is not in the bundle")]
    NoEvidence(Identity),
    /// The record or deck gives another price, or none, for this lane at that time.
    #[error("its price {price} is not the one that {evidence} gives")]
    OtherPrice {
        /// The lane's.
        price: u64,
        /// The record or deck.
        evidence: Identity,
    },
}

#[derive(Default)]
struct Papers {
    terms: BTreeMap<Identity, Terms>,
    decks: BTreeMap<Identity, Deck>,
    records: BTreeMap<Identity, GridRecord>,
}

/// Checks a bundle piece by piece, papers before the lanes that name them, and computes the bills.
#[derive(Default)]
pub struct BundleCheck {
    papers: Papers,
    paper_count: usize,
    lanes: Lanes,
    lane_count: usize,
}

impl BundleCheck {
    /// The next paper, of the kind with this name.
    pub fn paper(&mut self, kind: &str, grid: &[u8; 32], bytes: &[u8]) -> Result<(), BundleError> {
        let place = self.paper_count;
        self.paper_count += 1;
        self.papers.add(kind, grid, bytes).map_err(|what| BundleError::Paper { place, what })
    }

    /// The next lane.
    pub fn lane(&mut self, open: &[u8], voucher: &[u8]) -> Result<(), BundleError> {
        let place = self.lane_count;
        self.lane_count += 1;
        self.lanes.add(&self.papers, open, voucher).map_err(|(lane, fault)| {
            let lane = lane.map_or_else(|| "unread".to_owned(), |lane| lane.to_string());
            BundleError::Lane { place, lane, fault }
        })
    }

    /// What all of it proves, if none of it was refused.
    pub fn finish(self) -> BundleReport {
        self.lanes.report
    }
}

/// Checks everything in a bundle from its bytes alone, and computes the bills.
pub fn check_bundle(bytes: &[u8]) -> Result<BundleReport, BundleError> {
    let mut check = BundleCheck::default();
    let mut reader = Reader::new(bytes);
    let mut has_format = false;
    reader.map(|key, reader| -> Result<(), BundleError> {
        match key {
            FORMAT => match reader.uint()? {
                FORMAT_1 => has_format = true,
                other => return Err(BundleError::Format(other)),
            },
            PAPERS => reader
                .array(MOST, |reader| {
                    let (kind, grid, bytes) = read_paper(reader)?;
                    check.paper(kind, &grid, bytes)
                })
                .map(drop)?,
            LANES => reader
                .array(MOST, |reader| {
                    let (open, voucher) = read_lane(reader)?;
                    check.lane(open, voucher)
                })
                .map(drop)?,
            key => ignored(key, reader)?,
        }
        Ok(())
    })?;
    if !has_format {
        return Err(reader.fault(CborFault::Expected("the format in key 0")).into());
    }
    reader.end()?;
    Ok(check.finish())
}

/// Passes over what a later version has added and may be ignored.
fn ignored(key: u64, reader: &mut Reader<'_>) -> Result<(), BundleError> {
    if key < FIRST_IGNORABLE_KEY { Err(BundleError::Later(key)) } else { Ok(reader.skip()?) }
}

fn read_paper<'b>(reader: &mut Reader<'b>) -> Result<(&'b str, [u8; 32], &'b [u8]), BundleError> {
    let (mut kind, mut grid, mut bytes) = (None, None, None);
    reader.map(|key, reader| -> Result<(), BundleError> {
        match key {
            KIND => kind = Some(reader.text(64)?),
            GRID => grid = Some(reader.array_of()?),
            BYTES => bytes = Some(reader.bytes(usize::MAX)?),
            key => ignored(key, reader)?,
        }
        Ok(())
    })?;
    let whole = (|| Some((kind?, grid?, bytes?)))();
    whole.ok_or_else(|| reader.fault(CborFault::Expected("kind, grid and bytes of a paper before this")).into())
}

fn read_lane<'b>(reader: &mut Reader<'b>) -> Result<(&'b [u8], &'b [u8]), BundleError> {
    let (mut open, mut voucher) = (None, None);
    reader.map(|key, reader| -> Result<(), BundleError> {
        match key {
            OPEN => open = Some(reader.bytes(usize::MAX)?),
            VOUCHER => voucher = Some(reader.bytes(usize::MAX)?),
            key => ignored(key, reader)?,
        }
        Ok(())
    })?;
    let whole = open.zip(voucher);
    whole.ok_or_else(|| reader.fault(CborFault::Expected("both objects of a lane before this")).into())
}

impl Papers {
    fn add(&mut self, kind: &str, grid: &[u8; 32], bytes: &[u8]) -> Result<(), String> {
        if kind == ObjectType::Terms.name() {
            let terms = Terms::from_bytes(bytes).map_err(|error| error.to_string())?;
            self.terms.insert(terms.identity(), terms);
        } else if kind == ObjectType::Deck.name() {
            let deck = Deck::from_bytes(bytes).map_err(|error| error.to_string())?;
            self.decks.insert(deck.identity(), deck);
        } else if kind == ObjectType::Record.name() {
            let grid = GridId::from_bytes(grid).map_err(|error| error.to_string())?;
            let record = GridRecord::from_bytes(bytes, &grid).map_err(|error| error.to_string())?;
            self.records.insert(record.signed().identity(), record);
        } else {
            return Err(format!("`{kind}` has no place in a bundle"));
        }
        Ok(())
    }

    /// Whether the price of a lane is the one that its evidence gives.
    fn check_price(&self, lane: &LaneOpenBody) -> Result<(), LaneFault> {
        let Some(evidence) = lane.evidence else { return Ok(()) };
        let price = if let Some(record) = self.records.get(&evidence) {
            let of_payee = *record.grid() == lane.payee;
            binding_price(lane.asset, Some(record), &[], lane.opened_at).filter(|_| of_payee)
        } else if let Some(deck) = self.decks.get(&evidence).map(Deck::body) {
            let covers = deck.covers(&lane.payer, &lane.destination(), lane.opened_at);
            Some(deck.price).filter(|_| covers && deck.seller == lane.payee && deck.asset == lane.asset)
        } else {
            return Err(LaneFault::NoEvidence(evidence));
        };
        if price == Some(lane.price) { Ok(()) } else { Err(LaneFault::OtherPrice { price: lane.price.0, evidence }) }
    }

    fn check_terms(&self, lane: &LaneOpenBody) -> Result<(), LaneFault> {
        let Some(identity) = lane.terms else { return Ok(()) };
        let terms = self.terms.get(&identity).ok_or(LaneFault::NoTerms(identity))?.body();
        let parties = (*terms.payer.key(), terms.payee, terms.asset);
        if parties == (lane.payer, lane.payee, lane.asset) && terms.is_current(lane.opened_at) {
            Ok(())
        } else {
            Err(LaneFault::OtherTerms(identity))
        }
    }

    /// Whether a record in the bundle gives both keys that opened the lane to their parties.
    fn names_keys(&self, lane: &LaneOpenBody) -> bool {
        let named = |party: &PublicKey, key: &PublicKey, role: Roles| {
            party == key
                || self.records.values().filter(|record| record.grid().key() == party).any(|record| {
                    record.signed().authority().publisher() == Some(key)
                        || record.gateways().iter().any(|it| it.key() == Some(key) && it.roles().any_of(role))
                })
        };
        named(&lane.payer, lane.key(Side::Payer), Roles::SPEND)
            && named(lane.payee.key(), lane.key(Side::Payee), Roles::SERVE)
    }
}

#[derive(Default)]
struct Lanes {
    report: BundleReport,
    seen: BTreeSet<LaneId>,
}

impl Lanes {
    fn add(&mut self, papers: &Papers, open: &[u8], voucher: &[u8]) -> Result<(), (Option<LaneId>, LaneFault)> {
        let open = LaneOpen::from_bytes(open).map_err(|error| (None, LaneFault::Signed(error.to_string())))?;
        let named = |fault| (Some(open.identity()), fault);
        let voucher = Voucher::of_lane(voucher, &open).map_err(|error| named(LaneFault::Signed(error.to_string())))?;
        if !self.seen.insert(open.identity()) {
            return Err(named(LaneFault::Twice));
        }
        let lane = open.body();
        papers.check_terms(lane).map_err(named)?;
        papers.check_price(lane).map_err(named)?;
        self.report.unnamed_keys += u64::from(!papers.names_keys(lane));
        let bill = self.report.bills.entry((lane.payer, lane.payee, lane.asset)).or_default();
        let (Bytes(bytes), MinorUnits(amount)) = (voucher.body().cum_bytes, voucher.body().cum_amount);
        bill.lanes += 1;
        bill.bytes += u128::from(bytes);
        bill.amount += u128::from(amount);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::wire::fixtures::{PRICE, deck, grid, lane_body, public, secret, terms, usd, voucher_body};
    use crate::tariff::wire::{LaneProposal, Signed};

    /// A lane of grid 1 to grid 2 under [`terms`] at the price of a deck, with a voucher for so many octets.
    fn lane_for(octets: u64, change: impl FnOnce(&mut LaneOpenBody)) -> (Vec<u8>, Vec<u8>) {
        let mut body = lane_body();
        body.evidence = Some(own_deck().identity());
        change(&mut body);
        let open = LaneProposal::sign(&body, &secret(11)).unwrap().accept(&secret(12)).unwrap();
        let voucher = Voucher::issue(
            &crate::tariff::wire::VoucherBody { lane: open.identity(), ..voucher_body(octets) },
            &open,
            &secret(21),
        );
        (open.bytes().to_vec(), voucher.unwrap().bytes().to_vec())
    }

    fn own_deck() -> Deck {
        let mut body = deck();
        (body.audience, body.destination) = (None, None);
        Signed::sign(&body, &secret(2)).unwrap()
    }

    fn bundle(lanes: Vec<(Vec<u8>, Vec<u8>)>) -> Bundle {
        let paper =
            |kind, grid: GridId, bytes: &[u8]| BundlePaper { kind, grid: *grid.as_bytes(), bytes: bytes.to_vec() };
        let papers = vec![
            paper(ObjectType::Terms, grid(1), terms().bytes()),
            paper(ObjectType::Deck, grid(2), own_deck().bytes()),
        ];
        Bundle { papers, lanes }
    }

    fn fault(bundle: &Bundle) -> LaneFault {
        match check_bundle(&bundle.to_bytes()) {
            Err(BundleError::Lane { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bundle_sums_the_best_voucher_of_each_lane() {
        let lanes = vec![lane_for(1 << 30, |_| {}), lane_for(1, |lane| lane.payer_nonce = [9; 16])];
        let report = check_bundle(&bundle(lanes).to_bytes()).unwrap();
        let bill = Bill { lanes: 2, bytes: (1 << 30) + 1, amount: u128::from(PRICE.0) + 1 };
        assert_eq!(report.bills, [((public(1), grid(2), usd()), bill)].into());
        assert_eq!(report.unnamed_keys, 2, "11 and 12 are no grid's key");
        assert_eq!(check_bundle(&Bundle::default().to_bytes()), Ok(BundleReport::default()));
    }

    #[test]
    fn what_does_not_hold_is_named() {
        let one = lane_for(1 << 30, |_| {});
        assert_eq!(fault(&bundle(vec![one.clone(), one.clone()])), LaneFault::Twice);
        let mut without = bundle(vec![one.clone()]);
        without.papers.remove(0);
        assert_eq!(fault(&without), LaneFault::NoTerms(terms().identity()));
        let mut without = bundle(vec![one.clone()]);
        without.papers.remove(1);
        assert_eq!(fault(&without), LaneFault::NoEvidence(own_deck().identity()));
        // Opened before the deck and the terms were in force.
        let early =
            lane_for(1, |lane| (lane.opened_at.0, lane.not_after.0) = (lane.opened_at.0 - 1, lane.not_after.0 - 1));
        assert_eq!(fault(&bundle(vec![early])), LaneFault::OtherTerms(terms().identity()));
        let other = lane_for(1, |lane| (lane.terms, lane.payee, lane.payee_key) = (None, grid(5), public(12)));
        assert!(matches!(fault(&bundle(vec![other])), LaneFault::OtherPrice { .. }));
        // The voucher of another lane.
        let other = lane_for(1, |lane| lane.payer_nonce = [9; 16]);
        assert!(matches!(fault(&bundle(vec![(one.0.clone(), other.1)])), LaneFault::Signed(_)));
    }

    #[test]
    fn every_flipped_byte_is_refused_or_changes_nothing_that_is_billed() {
        let good = bundle(vec![lane_for(1 << 20, |_| {})]).to_bytes();
        let report = check_bundle(&good).unwrap();
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            if let Ok(found) = check_bundle(&bytes) {
                // The grid beside a paper that is no record says nothing.
                assert_eq!(found, report, "byte {place}");
            }
        }
        for length in 0..good.len() {
            assert!(check_bundle(&good[..length]).is_err());
        }
    }
}
