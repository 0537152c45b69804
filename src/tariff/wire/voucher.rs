//! `voucher/1` and `lane-report/1`: the two counters of a lane, each signed by the side that keeps it.
//!
//! Neither names its signer: the lane does. Vouchers are ordered by their octets alone. A sequence number beside them would
//! make a cheat of a payer that was restored from a backup.

use crate::keys::{PublicKey, SecretKey};
use crate::session::form::{FormFault, fault};
use crate::signed::{Envelope, Identity, ObjectType, seal};
use crate::tariff::wire::fields::{Contradiction, fields};
use crate::tariff::wire::lane_open::{LaneId, LaneOpen};
use crate::tariff::wire::one::{Payload, Signed, WireError, opened, written};
use crate::units::{Bytes, MinorUnits, UnixSeconds};

fields! {
    /// A payer's word: so much was delivered on this lane and verified, and so much is owed for it.
    pub struct VoucherBody {
        /// The lane.
        0 lane: LaneId,
        /// All octets verified on it since it was opened.
        1 cum_bytes: Bytes,
        /// The charge for them: rounded once, on the whole.
        2 cum_amount: MinorUnits,
        /// When it was signed; orders nothing.
        3 time: UnixSeconds,
        /// The transcript up to these octets.
        4 transcript: [u8; 32],
    }
}

fields! {
    /// A payee's word: so much was sent on this lane.
    pub struct LaneReportBody {
        /// The lane.
        0 lane: LaneId,
        /// All octets sent on it since it was opened.
        1 cum_bytes: Bytes,
        /// When it was signed; orders nothing.
        2 time: UnixSeconds,
        /// The transcript up to these octets.
        3 transcript: [u8; 32],
    }
}

/// A voucher, signed by the payer's session key, its amount that of the lane's price.
pub type Voucher = Signed<VoucherBody>;
/// A report, signed by the payee's session key.
pub type LaneReport = Signed<LaneReportBody>;

impl Payload for VoucherBody {
    const TYPE: ObjectType = ObjectType::Voucher;
    /// Two hashes of 35, 27 for the numbers, the envelope, and room for new words.
    const MAX_BYTES: usize = 256;
}

impl Payload for LaneReportBody {
    const TYPE: ObjectType = ObjectType::LaneReport;
    const MAX_BYTES: usize = VoucherBody::MAX_BYTES;
}

impl VoucherBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        if self.cum_bytes.0 == 0 { Err(("cum_bytes", "a voucher for nothing")) } else { Ok(()) }
    }
}

impl LaneReportBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        Ok(())
    }
}

impl Voucher {
    /// The lane that a voucher says it belongs to, to look that lane up; nothing is verified.
    pub fn lane_of(bytes: &[u8]) -> Result<LaneId, WireError> {
        opened::<VoucherBody>(bytes).map(|(_, body)| body.lane)
    }

    /// The voucher of `lane` in `bytes`: its signature is one of the payer's session key, its amount the charge for its octets.
    pub fn of_lane(bytes: &[u8], lane: &LaneOpen) -> Result<Self, WireError> {
        let voucher = verified(bytes, lane, &lane.body().payer_session, |body: &VoucherBody| body.lane)?;
        is_the_charge(voucher.body(), lane)?;
        Ok(voucher)
    }

    /// Signs `body` with the payer's session key.
    pub fn issue(body: &VoucherBody, lane: &LaneOpen, key: &SecretKey) -> Result<Self, WireError> {
        is_key(VoucherBody::TYPE, &lane.body().payer_session, key)?;
        let bytes = seal(VoucherBody::TYPE, &written(body), key);
        let (_, body, identity) = read(&bytes, lane, |body: &VoucherBody| body.lane)?;
        is_the_charge(&body, lane)?;
        // Who has just signed does not doubt it, and to verify a signature takes longer than to make one.
        Ok(Self::verified(&bytes, body, identity))
    }
}

impl LaneReport {
    /// The lane that a report says it belongs to; nothing is verified.
    pub fn lane_of(bytes: &[u8]) -> Result<LaneId, WireError> {
        opened::<LaneReportBody>(bytes).map(|(_, body)| body.lane)
    }

    /// The report of `lane` in `bytes`: its signature is one of the payee's session key.
    pub fn of_lane(bytes: &[u8], lane: &LaneOpen) -> Result<Self, WireError> {
        verified(bytes, lane, &lane.body().payee_session, |body: &LaneReportBody| body.lane)
    }

    /// Signs `body` with the payee's session key.
    pub fn issue(body: &LaneReportBody, lane: &LaneOpen, key: &SecretKey) -> Result<Self, WireError> {
        is_key(LaneReportBody::TYPE, &lane.body().payee_session, key)?;
        Self::of_lane(&seal(LaneReportBody::TYPE, &written(body), key), lane)
    }
}

fn verified<T: Payload>(
    bytes: &[u8],
    lane: &LaneOpen,
    signer: &PublicKey,
    lane_of: impl Fn(&T) -> LaneId,
) -> Result<Signed<T>, WireError> {
    let (envelope, body, identity) = read(bytes, lane, lane_of)?;
    envelope.verify(T::TYPE, signer).map_err(|_| WireError::BadSignature { object: T::TYPE, signer: *signer })?;
    Ok(Signed::verified(bytes, body, identity))
}

/// What belongs to `lane`, its signature not looked at.
fn read<'b, T: Payload>(
    bytes: &'b [u8],
    lane: &LaneOpen,
    lane_of: impl Fn(&T) -> LaneId,
) -> Result<(Envelope<'b>, T, Identity), WireError> {
    let (envelope, body) = opened::<T>(bytes)?;
    if lane_of(&body) != lane.identity() {
        return Err(WireError::OtherLane { object: T::TYPE });
    }
    let identity = Identity::of_one(T::TYPE, &lane_of(&body).0, envelope.payload());
    Ok((envelope, body, identity))
}

fn is_the_charge(body: &VoucherBody, lane: &LaneOpen) -> Result<(), WireError> {
    if lane.body().charge(body.cum_bytes) == Some(body.cum_amount) {
        return Ok(());
    }
    let what = FormFault::Contradiction("not the charge for these octets at the lane's price");
    Err(WireError::Form { object: VoucherBody::TYPE, error: fault("cum_amount", 0, what) })
}

fn is_key(object: ObjectType, expected: &PublicKey, key: &SecretKey) -> Result<(), WireError> {
    let found = key.public();
    if found == *expected { Ok(()) } else { Err(WireError::OtherKey { object, expected: *expected, found }) }
}
