//! Delegations: the bytes as they come, and their payload signed by the grid key; by themselves and in a record.
#![no_main]

use lafs_clearinghouse::cbor::MapWriter;
use lafs_clearinghouse::record::{
    Delegation, DelegationDraft, DelegationLimits, GridRecord, MAX_DELEGATION, RecordDraft, RecordError, SignedRecord,
    Signer,
};
use lafs_clearinghouse::signed::{Envelope, ObjectType, seal};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use lafs_clearinghouse_fuzz::{as_found_and_signed, grid, grid_key, has_one_form, publisher_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for bytes in as_found_and_signed(data, ObjectType::Delegation) {
        match Delegation::from_bytes(&bytes, grid()) {
            Ok(delegation) => {
                assert_eq!(delegation.bytes(), bytes);
                has_one_form(Envelope::from_bytes(&bytes).expect("it was read").payload());
                assert!(delegation.is_of(grid()) && delegation.publisher() != grid().key());
                let (serial, not_after) = (delegation.serial(), delegation.not_after());
                assert!(serial < not_after && not_after.since(serial) <= MAX_DELEGATION);
                if let Ok(limits) = delegation.limits() {
                    understood(&delegation, limits);
                }
                if *delegation.publisher() == publisher_key().public() {
                    in_a_record(&delegation);
                }
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                let record = SignedRecord::from_bytes(&record_under(&bytes, UnixSeconds(1), UnixSeconds(2)), grid());
                assert!(record.is_err(), "a record under it is refused as well");
            }
        }
    }
});

/// What it says can be said again.
fn understood(delegation: &Delegation, limits: DelegationLimits) {
    let draft = |delegation: &Delegation, limits: DelegationLimits| DelegationDraft {
        serial: delegation.serial(),
        publisher: *delegation.publisher(),
        not_after: delegation.not_after(),
        next: limits.next,
        max_limit: limits.max_limit,
        committed_until: Some(limits.committed_until).filter(|until| *until != delegation.not_after()),
    };
    let drafted = draft(delegation, limits);
    let again = Delegation::issue(grid_key(), &drafted).expect("what was issued can be issued again");
    let limits = again.limits().expect("our own words");
    assert_eq!(draft(&again, limits), drafted);
    assert!(again.bytes().len() <= delegation.bytes().len());
}

/// Keys 0 to 5 of a record, signed by the publisher under these bytes.
fn record_under(delegation: &[u8], issued_at: UnixSeconds, expires_at: UnixSeconds) -> Vec<u8> {
    let mut map = MapWriter::new();
    map.uint(0, 1).uint(1, issued_at.0 * 1000).uint(2, issued_at.0).uint(3, expires_at.0).bool(4, false);
    seal(ObjectType::Record, &map.bytes(5, delegation).finish(), publisher_key())
}

/// The publisher may sign what the delegation allows, and nothing else.
fn in_a_record(delegation: &Delegation) {
    let issued_at = delegation.serial();
    let expires_at = delegation.not_after().min(issued_at.plus(Seconds::days(30)));
    match SignedRecord::from_bytes(&record_under(delegation.bytes(), issued_at, expires_at), grid()) {
        Ok(record) => assert_eq!(record.authority().delegation(), Some(delegation)),
        Err(RecordError::TooBig { .. }) => return,
        Err(error) => panic!("a record under the delegation: {error}"),
    }
    let late = record_under(delegation.bytes(), issued_at, UnixSeconds(delegation.not_after().0 + 1));
    assert!(SignedRecord::from_bytes(&late, grid()).is_err(), "it expires after the delegation");

    let Ok(limits) = delegation.limits() else { return };
    let promise = "0.02 USD/GiB until 2027-06-01".parse().expect("a rate");
    let draft = RecordDraft { rates: vec![promise], ..RecordDraft::new(*grid()) };
    let signer = Signer::Publisher { key: publisher_key(), delegation };
    if let Ok(record) = draft.sign(signer, None, &[], issued_at) {
        assert_eq!(GridRecord::from_bytes(record.signed().bytes(), grid()).as_ref(), Ok(&record));
        assert_eq!(record.next(), limits.next);
        assert!(record.commitments().all(|promise| promise.until <= limits.committed_until));
        assert!(record.signed().expires_at() <= delegation.not_after());
    }
}
