//! A grid that claims more than was vouched for: claims that our own settler would never make, sent to the clearing node over the
//! wire.

use crate::calls::grids::Grids;
use crate::calls::scenario::OverClaimed;
use crate::calls::stage::{CallStage, Seen};
use crate::play::AnyError;
use lafs_clearinghouse::clock::Clock;
use lafs_clearinghouse::keys::SecretKey;
use lafs_clearinghouse::ledger::{LaneLine, LaneState, Ledger, Location, Part};
use lafs_clearinghouse::peer::GatewayClient;
use lafs_clearinghouse::signed::{Envelope, Identity, ObjectType, enclose, seal};
use lafs_clearinghouse::tariff::wire::{
    Carried, Claim, ClaimBody, ClaimLine, ClaimRefusal, LaneOpen, LaneOpenBody, LaneProposal, Receipt, Signed, Voucher,
    VoucherBody,
};
use lafs_clearinghouse::units::Bytes;

/// More than a receipt for one lane takes.
const MAX_RECEIPT_BYTES: usize = 16 << 10;
/// How much more is claimed than was read.
const MORE: u64 = 1 << 30;

/// One claim of the cheat's.
struct Forgery {
    about: &'static str,
    line: ClaimLine,
    expected: Option<ClaimRefusal>,
}

/// What the cheat has at hand.
struct Cheat<'a> {
    grids: &'a Grids,
    grid: usize,
    key: SecretKey,
    session: GatewayClient,
}

impl CallStage {
    /// The grid claims what it is not owed, in every way that it can think of.
    pub(super) async fn over_claimed(&mut self, expected: &OverClaimed) -> Result<Seen, AnyError> {
        // What it is owed is booked first: then every claim has something to raise.
        self.statements().await?;
        let grid = expected.grid;
        let grids = &self.grids;
        let cheat = Cheat { grids, grid, key: grids.gateway_key(grid)?, session: grids.session(grid, 0).await? };
        let own = lane_of(grids, grid, Part::Payee, |body| body.payee == grids.id(grid)).await?;
        let others = lane_of(grids, 0, Part::Clearing, |body| body.payee != grids.id(grid)).await?;
        let before = self.owed_by_clearing(grid).await?;
        let mut faults = Vec::new();
        let forgeries = cheat.forgeries(&own, &others)?;
        let mut refused = Vec::new();
        for Forgery { about, line, expected } in forgeries {
            let receipt = cheat.claim(line).await?;
            let line = &receipt.body().lanes[0];
            if line.refused != expected {
                faults.push(format!("{about} is answered with {:?} and not with {expected:?}", line.refused));
            }
            if let Some(why) = line.refused {
                refused.push(format!("{about}: {}", why.code()));
            }
        }
        let after = self.owed_by_clearing(grid).await?;
        if before != after {
            faults.push(format!(
                "grid {grid} was owed {before} before it claimed what it was not owed, and {after} after"
            ));
        }
        Ok(match faults.is_empty() {
            true => Seen::Held(format!("grid {grid} claims in vain, refused by number ({})", refused.join(", "))),
            false => Seen::Broken(faults),
        })
    }

    /// What all others owe a grid by the clearing node's books.
    async fn owed_by_clearing(&self, creditor: usize) -> Result<i128, AnyError> {
        let mut owed = 0;
        for debtor in self.grids.numbers().filter(|debtor| *debtor != creditor) {
            owed += self.owed(0, Part::Clearing, debtor, creditor).await?;
        }
        Ok(owed)
    }
}

impl Cheat<'_> {
    fn forgeries(&self, own: &LaneState, others: &LaneState) -> Result<Vec<Forgery>, AnyError> {
        let best = own.voucher.as_ref().ok_or("a lane without a voucher")?;
        let theirs = others.voucher.as_ref().ok_or("a lane without a voucher")?;
        let more = payload(&VoucherBody {
            cum_bytes: Bytes(best.body().cum_bytes.0 + MORE),
            cum_amount: own.open.body().charge(Bytes(best.body().cum_bytes.0 + MORE)).ok_or("too much")?,
            ..best.body().clone()
        })?;
        let signature = *Envelope::from_bytes(best.bytes())?.signature();
        let line = |voucher: Vec<u8>, open: Option<&[u8]>| ClaimLine {
            voucher: Carried(voucher.into()),
            lane_open: open.map(|open| Carried(open.into())),
            terms: None,
            evidence: None,
        };
        let dearer = payload(&VoucherBody {
            cum_amount: lafs_clearinghouse::units::MinorUnits(best.body().cum_amount.0 + 1),
            ..best.body().clone()
        })?;
        let (made_up, made_up_voucher) = self.made_up_lane(own)?;
        let mut unknown = best.body().clone();
        unknown.lane = Identity([7; 32]);
        let unknown = seal(ObjectType::Voucher, &payload(&unknown)?, &self.key);
        let (invalid, known) = (Some(ClaimRefusal::Invalid), Some(own.open.bytes()));
        Ok(vec![
            Forgery {
                about: "more under the old signature",
                line: line(enclose(&more, &signature), known),
                expected: invalid,
            },
            Forgery {
                about: "more under its own signature",
                line: line(seal(ObjectType::Voucher, &more, &self.key), known),
                expected: invalid,
            },
            Forgery { about: "another amount", line: line(enclose(&dearer, &signature), known), expected: invalid },
            Forgery {
                about: "a lane that the other never signed",
                line: ClaimLine { terms: None, ..line(made_up_voucher.bytes().to_vec(), Some(made_up.bytes())) },
                expected: invalid,
            },
            Forgery {
                about: "a lane of others",
                line: line(theirs.bytes().to_vec(), Some(others.open.bytes())),
                expected: invalid,
            },
            Forgery { about: "a lane of nobody", line: line(unknown, None), expected: Some(ClaimRefusal::UnknownLane) },
            Forgery { about: "what is booked already", line: line(best.bytes().to_vec(), known), expected: None },
        ])
    }

    /// A lane like a real one, and a voucher on it, both signed for the payer by a key that is not the payer's.
    fn made_up_lane(&self, own: &LaneState) -> Result<(LaneOpen, Voucher), AnyError> {
        let (payer, session) = (SecretKey::generate(), SecretKey::generate());
        let body = LaneOpenBody {
            payer_key: payer.public(),
            payee_key: self.key.public(),
            payer_session: session.public(),
            ..own.open.body().clone()
        };
        let open = LaneProposal::sign(&body, &self.key)?.accept(&payer)?;
        let voucher = VoucherBody {
            lane: open.identity(),
            cum_bytes: Bytes(MORE),
            cum_amount: body.charge(Bytes(MORE)).ok_or("too much")?,
            time: Clock::system().now(),
            transcript: [7; 32],
        };
        let voucher = Voucher::issue(&voucher, &open, &session)?;
        Ok((open, voucher))
    }

    async fn claim(&self, line: ClaimLine) -> Result<Receipt, AnyError> {
        let body = ClaimBody {
            grid: self.grids.id(self.grid),
            signer: self.key.public(),
            clearing: self.grids.id(0),
            time: Clock::system().now(),
            lanes: vec![line],
        };
        let claim: Claim = Signed::sign(&body, &self.key)?;
        let body = claim.bytes().to_vec().into();
        let answer = self.session.send(hyper::Method::POST, "/v1/claims", "application/cose", body, MAX_RECEIPT_BYTES);
        Ok(Receipt::from_bytes(&answer.await?)?)
    }
}

/// The newest lane in a grid's books, of those that are wanted, on which something was vouched for: an older one may be too late to be
/// claimed.
async fn lane_of(
    grids: &Grids,
    keeper: usize,
    part: Part,
    wanted: impl Fn(&LaneOpenBody) -> bool,
) -> Result<LaneState, AnyError> {
    let ledger = Ledger::open_reading(Location::Sqlite(grids.home(keeper).ledger())).await?;
    let mut lanes = Vec::new();
    let is_used = |line: &LaneLine| line.part == part && line.bytes.0 > 0;
    ledger.each_lane(|line| lanes.extend(is_used(&line).then_some((line.kept_at, line.lane)))).await?;
    lanes.sort_unstable_by(|one, other| other.cmp(one));
    let mut found = None;
    for (_, lane) in lanes {
        found = ledger
            .lane(part, lane)
            .await?
            .filter(|state| state.open.body().terms.is_some() && wanted(state.open.body()));
        if found.is_some() {
            break;
        }
    }
    ledger.close().await;
    found.ok_or_else(|| format!("grid {keeper} keeps no such lane").into())
}

/// A voucher's payload as it is signed: whoever forges one encodes it alone.
fn payload(body: &VoucherBody) -> Result<Vec<u8>, AnyError> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder.map(5)?.u8(0)?.bytes(&body.lane.0)?.u8(1)?.u64(body.cum_bytes.0)?.u8(2)?.u64(body.cum_amount.0)?;
    encoder.u8(3)?.u64(body.time.0)?.u8(4)?.bytes(&body.transcript)?;
    Ok(encoder.into_writer())
}
