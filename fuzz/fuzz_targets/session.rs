//! Claims to a session and memberships: what a stranger sends before anybody knows who calls, and what lies in a folder that
//! was copied from elsewhere. The bytes as they come, and their payload signed.
#![no_main]

use lafs_clearinghouse::record::GridRecord;
use lafs_clearinghouse::session::{
    Channel, ClaimError, Claimant, MAX_CLAIM_BYTES, MAX_MEMBERSHIP_BYTES, Membership, MembershipError, SessionClaim,
};
use lafs_clearinghouse::signed::{Envelope, ObjectType};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use lafs_clearinghouse_fuzz::{NOW, as_found_and_signed_by_each, grid, grid_key, has_one_form, publisher_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for bytes in as_found_and_signed_by_each(data, ObjectType::Session) {
        claim(&bytes);
    }
    for bytes in as_found_and_signed_by_each(data, ObjectType::Membership) {
        membership(&bytes);
    }
});

/// The connection of the vectors.
fn channel() -> Channel {
    let ascending = |from: u8| std::array::from_fn(|i| from + i as u8);
    Channel { grid: *grid(), spki_hash: ascending(0), exporter: ascending(64) }
}

fn claim(bytes: &[u8]) {
    let now = UnixSeconds(NOW.0 + 60);
    match SessionClaim::from_bytes(bytes, &channel(), now) {
        Ok(claim) => {
            assert!(bytes.len() <= MAX_CLAIM_BYTES);
            has_one_form(Envelope::from_bytes(bytes).expect("it was read").payload());
            let refused = |channel: Channel, now| SessionClaim::from_bytes(bytes, &channel, now).is_err();
            assert!(refused(Channel { exporter: [1; 32], ..channel() }, now), "another connection");
            assert!(refused(Channel { spki_hash: [1; 32], ..channel() }, now), "another server");
            assert!(refused(channel(), claim.time().plus(Seconds(121))), "later");
            for key in [grid_key(), publisher_key()].into_iter().filter(|key| key.public() == *claim.key()) {
                let record = match claim.claimant() {
                    Claimant::Client => None,
                    Claimant::Grid(record) => Some(record),
                };
                let record = record.map(GridRecord::signed);
                let again = SessionClaim::sign(&channel(), key, record, claim.time(), claim.nonce());
                assert_eq!(SessionClaim::from_bytes(&again, &channel(), now).as_ref(), Ok(&claim));
                assert!(again.len() <= bytes.len());
            }
        }
        Err(ClaimError::Form(error)) => assert!(!error.class().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn membership(bytes: &[u8]) {
    let publisher = publisher_key().public();
    match Membership::from_bytes(bytes, grid(), Some(&publisher)) {
        Ok(membership) => {
            assert!(bytes.len() <= MAX_MEMBERSHIP_BYTES);
            assert_eq!(membership.bytes(), bytes);
            has_one_form(Envelope::from_bytes(bytes).expect("it was read").payload());
            assert!(!membership.supersedes(&membership));
            for key in [grid_key(), publisher_key()].into_iter().filter(|key| key.public() == *membership.signer()) {
                let again = Membership::issue(key, grid(), membership.draft()).expect("what was read can be said");
                assert_eq!(again.draft(), membership.draft());
                assert!(again.bytes().len() <= bytes.len());
            }
        }
        Err(MembershipError::Form(error)) => assert!(!error.class().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
