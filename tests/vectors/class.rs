//! The names that the vectors give to refusals.

use lafs_clearinghouse::cbor::{CborFault, Reader};
use lafs_clearinghouse::netting::StatementFault;
use lafs_clearinghouse::rate::AssetError;
use lafs_clearinghouse::record::{Fault, RecordError, TimeFault};
use lafs_clearinghouse::session::{ClaimError, MembershipError};
use lafs_clearinghouse::signed::Envelope;
use lafs_clearinghouse::tariff::statement_proof::ProofFault;

/// All of them, and `ok`.
pub(crate) const ALL: [&str; 12] = [
    "ok",
    "empty",
    "too-big",
    "envelope",
    "non-canonical",
    "field",
    "key",
    "delegation",
    "signature",
    "upgrade",
    "time-expired",
    "time-future",
];

/// The class of `error`, which was given for `bytes`.
pub(crate) fn of(error: &RecordError, bytes: &[u8]) -> &'static str {
    match error {
        RecordError::Empty { object: "delegation" }
        | RecordError::Envelope { object: "delegation", .. }
        | RecordError::BadSignature { object: "delegation", .. } => "delegation",
        RecordError::Empty { .. } => "empty",
        RecordError::TooBig { .. } => "too-big",
        RecordError::Envelope { .. } => "envelope",
        RecordError::BadSignature { .. } => "signature",
        RecordError::Upgrade { .. } => "upgrade",
        RecordError::Time(fault) => of_time(*fault),
        RecordError::Form { field, fault, .. } => match fault {
            // The walk that finds a fault in a field may come to it before it comes to a fault in the form.
            _ if !is_canonical(bytes) => "non-canonical",
            Fault::NotForPublisher(_)
            | Fault::OutsideDelegation { .. }
            | Fault::PublisherIsGrid
            | Fault::OverMaxLimit => "delegation",
            _ if *field == "authority" && authority_is_bytes(bytes) => "delegation",
            Fault::Key(_) => "key",
            _ => "field",
        },
    }
}

/// The class of what opens no session.
pub(crate) fn of_claim(error: &ClaimError) -> &'static str {
    match error {
        ClaimError::Form(error) => error.class(),
        ClaimError::BadSignature => "signature",
        ClaimError::OtherGrid { .. } => "other-grid",
        ClaimError::OtherServer => "other-server",
        ClaimError::OtherConnection => "other-connection",
        ClaimError::Time { .. } => "time",
        ClaimError::Record(_) => "record",
        ClaimError::RecordTime(_) => "record-time",
        ClaimError::Withdrawn => "withdrawn",
        ClaimError::NotListed { .. } => "not-listed",
        ClaimError::BelowFloor { .. } => "below-floor",
    }
}

/// The class of what makes nobody a client.
pub(crate) fn of_membership(error: &MembershipError) -> &'static str {
    match error {
        MembershipError::Form(error) => error.class(),
        MembershipError::OtherGrid { .. } => "other-grid",
        MembershipError::OtherSigner { .. } => "other-signer",
        MembershipError::BadSignature => "signature",
    }
}

/// The class of what is no statement with its positions.
pub(crate) fn of_proof(fault: &ProofFault) -> &'static str {
    match fault {
        ProofFault::Form(error) => match error.fault {
            CborFault::Expected(_) | CborFault::TooMany { .. } | CborFault::TooFew { .. } => "field",
            _ => "non-canonical",
        },
        ProofFault::Format(_) | ProofFault::Later(_) => "upgrade",
        ProofFault::Statement(error) | ProofFault::Position { error, .. } => error.class(),
        ProofFault::Chain { .. } | ProofFault::Order { .. } | ProofFault::NoBeginning(_) => "chain",
    }
}

/// The class of a statement that does not follow from positions.
pub(crate) fn of_statement(fault: &StatementFault) -> &'static str {
    match fault {
        StatementFault::NotOver(_) => "not-over",
        StatementFault::Nothing(_) | StatementFault::Figure { .. } => "figure",
    }
}

/// The class of a fault in time.
pub(crate) fn of_time(fault: TimeFault) -> &'static str {
    match fault {
        TimeFault::Expired { .. } => "time-expired",
        TimeFault::IssuedInFuture { .. } | TimeFault::SerialInFuture { .. } => "time-future",
    }
}

/// The class of what is no known asset.
pub(crate) fn of_asset(error: &AssetError) -> &'static str {
    match error {
        AssetError::Form(_) => "field",
        AssetError::Unknown(_) | AssetError::NoDigits(_) => "upgrade",
    }
}

fn is_canonical(bytes: &[u8]) -> bool {
    Envelope::from_bytes(bytes).is_ok_and(|envelope| {
        let mut reader = Reader::new(envelope.payload());
        reader.skip().is_ok() && reader.end().is_ok()
    })
}

fn authority_is_bytes(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::from_bytes(bytes) else { return false };
    let mut found = false;
    let walked = Reader::new(envelope.payload()).map(|key, reader| {
        found |= key == 5 && reader.clone().bytes(usize::MAX).is_ok();
        reader.skip()
    });
    walked.is_ok() && found
}
