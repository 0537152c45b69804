//! Signing a record: what its dates and its sequence must be, and what must not be signed.

use super::delegation::Delegation;
use super::draft::{RecordDraft, Stamp, StampAuthority};
use super::error::RecordError;
use super::evidence::{Breach, breaches};
use super::grid_record::GridRecord;
use super::head::{MAX_FINAL_BYTES, MAX_RECORD_BYTES, SEQUENCES_PER_SECOND};
use super::key_digest::KeyDigest;
use super::signed_record::SignedRecord;
use super::time::{CLOCK_TOLERANCE, MAX_FINAL_LIFETIME, MAX_LIFETIME};
use super::weight::Weights;
use crate::keys::{GridId, SecretKey};
use crate::signed::{ObjectType, seal};
use crate::units::UnixSeconds;

/// Who signs.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// The grid itself.
    Grid {
        /// The grid key.
        key: &'a SecretKey,
        /// At least the serial of the record before. A higher one revokes every delegation with a lower.
        serial: UnixSeconds,
    },
    /// A publisher, with the grid key's permission.
    Publisher {
        /// The publisher key.
        key: &'a SecretKey,
        /// The permission.
        delegation: &'a Delegation,
    },
}

/// Why no record was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not the grid's.
    #[error("the key given is not the key of the grid {grid}")]
    NotTheGridKey {
        /// The grid.
        grid: GridId,
    },
    /// The key is not the one that the delegation names.
    #[error("the key given is not the publisher key that the delegation names")]
    NotThePublisher,
    /// The delegation is another grid's.
    #[error("the delegation is not one of the grid {grid}")]
    ForeignDelegation {
        /// The grid.
        grid: GridId,
    },
    /// The delegation's time is over.
    #[error("the delegation ended on {not_after}: the grid key must sign a new one")]
    DelegationEnded {
        /// When it ended.
        not_after: UnixSeconds,
    },
    /// `next` belongs into the delegation.
    #[error("`next` is the grid key's to say: it stands in the delegation")]
    NextUnderDelegation,
    /// The record before, or one of the evidence, is another grid's.
    #[error("the earlier record given is not one of the grid {grid}")]
    ForeignRecord {
        /// The grid.
        grid: GridId,
    },
    /// Withdrawn is final.
    #[error("the record before is withdrawn, and that is final")]
    Withdrawn,
    /// A serial lower than the one before: the record would be older than it.
    #[error("serial {serial} is lower than {previous}, that of the record before: what has it is revoked")]
    SerialTooLow {
        /// The serial given.
        serial: u64,
        /// The serial of the record before.
        previous: u64,
    },
    /// A serial that nobody would accept yet.
    #[error("serial {serial} lies in the future: it is {now}")]
    SerialInFuture {
        /// The serial given.
        serial: UnixSeconds,
        /// Now.
        now: UnixSeconds,
    },
    /// The record before was issued later than now: one of two clocks is or was wrong.
    #[error(
        "the record before was issued on {previous}, and it is {now}: set the clock right; if it was wrong then, sign \
         without the record before, which nobody will have accepted"
    )]
    PreviousInFuture {
        /// When it was issued.
        previous: UnixSeconds,
        /// Now.
        now: UnixSeconds,
    },
    /// It would expire before the record that it replaces.
    #[error("it would expire on {latest} at the latest, before the record that it replaces, which does on {previous}")]
    ExpiresBeforePrevious {
        /// The latest expiry allowed.
        latest: UnixSeconds,
        /// The expiry of the record before.
        previous: UnixSeconds,
    },
    /// It would break a promise.
    #[error("a promise binds: {0}")]
    Breach(Box<Breach>),
    /// Too many octets.
    #[error("the record is too big: {0}")]
    Overweight(Weights),
    /// A reader would refuse it.
    #[error(transparent)]
    Refused(#[from] RecordError),
}

impl RecordDraft {
    /// Signs a record that takes the place of `previous` and keeps what it and the `evidence` promise.
    ///
    /// Its expiry is extended to that of `previous`, and ends with the delegation.
    pub fn sign(
        &self,
        signer: Signer<'_>,
        previous: Option<&GridRecord>,
        evidence: &[GridRecord],
        now: UnixSeconds,
    ) -> Result<GridRecord, SignError> {
        let hand = Hand::of(self, signer, now)?;
        let earlier = || previous.into_iter().chain(evidence);
        if earlier().any(|record| *record.grid() != self.grid) {
            return Err(SignError::ForeignRecord { grid: self.grid });
        }
        let signed = previous.map(GridRecord::signed);
        if let Some(previous) = signed {
            self.may_replace(previous, hand.serial, now)?;
        }
        let (issued_at, sequence) = next_place(signed, now);
        let stamp = Stamp {
            sequence,
            issued_at,
            expires_at: self.expiry(&hand, signed, issued_at, now)?,
            authority: match signer {
                Signer::Grid { serial, .. } => StampAuthority::Serial(serial),
                Signer::Publisher { delegation, .. } => StampAuthority::Delegation(delegation.bytes()),
            },
            previous: signed.map(SignedRecord::identity),
            next: hand.next,
        };
        let payload = self.payload(&stamp);
        let bytes = seal(ObjectType::Record, &payload, hand.key);
        let limit = if self.is_final() { MAX_FINAL_BYTES } else { MAX_RECORD_BYTES };
        if bytes.len() > limit {
            return Err(SignError::Overweight(Weights::of(&payload, bytes.len(), limit)));
        }
        // The reader's rules are the only ones: what they refuse is not signed.
        let record = GridRecord::from_bytes(&bytes, &self.grid)?;
        match earlier().flat_map(|earlier| breaches(earlier, &record)).next() {
            Some(breach) => Err(SignError::Breach(Box::new(breach))),
            None => Ok(record),
        }
    }

    fn may_replace(&self, previous: &SignedRecord, serial: UnixSeconds, now: UnixSeconds) -> Result<(), SignError> {
        if previous.withdrawn() && !self.withdrawn {
            return Err(SignError::Withdrawn);
        }
        if serial < previous.serial() {
            return Err(SignError::SerialTooLow { serial: serial.0, previous: previous.serial().0 });
        }
        if previous.issued_at() > now.plus(CLOCK_TOLERANCE) {
            return Err(SignError::PreviousInFuture { previous: previous.issued_at(), now });
        }
        Ok(())
    }

    fn expiry(
        &self,
        hand: &Hand<'_>,
        previous: Option<&SignedRecord>,
        issued_at: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<UnixSeconds, SignError> {
        let before = previous.map_or(UnixSeconds(0), SignedRecord::expires_at);
        let wanted = now.plus(self.lifetime_or_default()).max(before).max(UnixSeconds(issued_at.0 + 1));
        let longest = issued_at.plus(if self.is_final() { MAX_FINAL_LIFETIME } else { MAX_LIFETIME });
        let end = hand.not_after.unwrap_or(UnixSeconds::MAX);
        let latest = longest.min(end);
        if before > latest {
            return Err(SignError::ExpiresBeforePrevious { latest, previous: before });
        }
        // A lifetime that was asked for and is too long is left for the reader's rules to name.
        Ok(wanted.min(end))
    }
}

/// The signing key and what follows from whose it is.
struct Hand<'a> {
    key: &'a SecretKey,
    serial: UnixSeconds,
    not_after: Option<UnixSeconds>,
    next: Option<KeyDigest>,
}

impl<'a> Hand<'a> {
    fn of(draft: &RecordDraft, signer: Signer<'a>, now: UnixSeconds) -> Result<Self, SignError> {
        let grid = &draft.grid;
        let hand = match signer {
            Signer::Grid { key, serial } => {
                if key.public() != *grid.key() {
                    return Err(SignError::NotTheGridKey { grid: *grid });
                }
                Self { key, serial, not_after: None, next: draft.next }
            }
            Signer::Publisher { key, delegation } => {
                let not_after = delegation.not_after();
                if !delegation.is_of(grid) {
                    return Err(SignError::ForeignDelegation { grid: *grid });
                }
                if key.public() != *delegation.publisher() {
                    return Err(SignError::NotThePublisher);
                }
                if not_after <= now {
                    return Err(SignError::DelegationEnded { not_after });
                }
                if draft.next.is_some() && draft.next != delegation.limits()?.next {
                    return Err(SignError::NextUnderDelegation);
                }
                Self { key, serial: delegation.serial(), not_after: Some(not_after), next: None }
            }
        };
        if hand.serial > now.plus(CLOCK_TOLERANCE) {
            return Err(SignError::SerialInFuture { serial: hand.serial, now });
        }
        Ok(hand)
    }
}

/// The time of issue and the sequence of the record after `previous`.
///
/// Needs no memory beyond that record, and nobody can jump to the end: a sequence lies in its second of issue.
fn next_place(previous: Option<&SignedRecord>, now: UnixSeconds) -> (UnixSeconds, u64) {
    let Some(previous) = previous else { return (now, now.0.saturating_mul(SEQUENCES_PER_SECOND)) };
    let issued_at = now.max(previous.issued_at());
    let first = issued_at.0.saturating_mul(SEQUENCES_PER_SECOND);
    let sequence = first.max(previous.sequence() + 1);
    if sequence < first.saturating_add(SEQUENCES_PER_SECOND) {
        (issued_at, sequence)
    } else {
        (UnixSeconds(issued_at.0 + 1), sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{
        DAY, NOW, by_grid, delegation, delegation_draft, grid, grid_key, key, other_grid, publisher_key, rate,
        realistic, with_rates,
    };
    use super::super::{DelegationDraft, Gateway, Roles};
    use super::*;
    use crate::units::Seconds;

    fn publisher(key: &SecretKey, delegation: &Delegation) -> Result<GridRecord, SignError> {
        realistic().sign(Signer::Publisher { key, delegation }, None, &[], NOW)
    }

    #[test]
    fn a_realistic_record_under_a_delegation_fits() {
        let delegation = delegation();
        let key = publisher_key();
        let first = publisher(&key, &delegation).expect("signed");
        let signer = Signer::Publisher { key: &key, delegation: &delegation };
        let second = realistic().sign(signer, Some(&first), &[], NOW.plus(DAY)).expect("signed again");
        assert!(second.signed().supersedes(first.signed()));
        assert_eq!(second.previous(), Some(first.signed().identity()));
        assert!(second.signed().bytes().len() <= MAX_RECORD_BYTES, "{}", second.signed().bytes().len());
        assert_eq!(GridRecord::from_bytes(second.signed().bytes(), &grid()).expect("own bytes"), second);
        assert_eq!(second.signed().authority().publisher(), Some(&key.public()));
    }

    #[test]
    fn sequences_follow_the_second_of_issue_and_never_repeat() {
        let draft = realistic();
        let mut last = draft.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        assert_eq!(last.signed().sequence(), NOW.0 * 1000);
        for n in 1..1000 {
            last = draft.sign(by_grid(&grid_key()), Some(&last), &[], NOW).expect("signed");
            assert_eq!(last.signed().sequence(), NOW.0 * 1000 + n);
        }
        let next = draft.sign(by_grid(&grid_key()), Some(&last), &[], NOW).expect("signed");
        assert_eq!((next.signed().sequence(), next.signed().issued_at().0), ((NOW.0 + 1) * 1000, NOW.0 + 1));
        let back = draft.sign(by_grid(&grid_key()), Some(&next), &[], NOW.minus(DAY)).expect_err("the clock went back");
        assert!(matches!(back, SignError::SerialInFuture { .. }), "{back}");
    }

    #[test]
    fn a_clock_that_lags_a_little_does_not_go_back() {
        let draft = realistic();
        let first = draft.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        let second = draft.sign(by_grid(&grid_key()), Some(&first), &[], NOW.minus(Seconds(60))).expect("signed");
        assert_eq!(second.signed().issued_at(), NOW);
        let late = draft.sign(by_grid(&grid_key()), None, &[], NOW.plus(DAY)).expect("signed");
        let error = draft.sign(by_grid(&grid_key()), Some(&late), &[], NOW).expect_err("a day ahead");
        assert!(matches!(error, SignError::PreviousInFuture { .. }), "{error}");
    }

    #[test]
    fn a_record_never_expires_before_the_one_it_replaces() {
        let long = RecordDraft { lifetime: Some(Seconds::days(20)), ..realistic() };
        let first = long.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        let second = realistic().sign(by_grid(&grid_key()), Some(&first), &[], NOW.plus(DAY)).expect("signed");
        assert_eq!(second.signed().expires_at(), first.signed().expires_at());
        let moved = RecordDraft { successor: Some(other_grid(7)), ..RecordDraft::new(grid()) };
        let moved = moved.sign(by_grid(&grid_key()), None, &[], NOW).expect("signed");
        let error = realistic().sign(by_grid(&grid_key()), Some(&moved), &[], NOW.plus(DAY)).expect_err("ten years");
        assert!(matches!(error, SignError::ExpiresBeforePrevious { .. }), "{error}");
    }

    #[test]
    fn a_record_ends_with_its_delegation() {
        let key = publisher_key();
        let delegation = Delegation::issue(
            &grid_key(),
            &DelegationDraft {
                not_after: NOW.plus(DAY),
                committed_until: Some(NOW.plus(Seconds::days(300))),
                ..delegation_draft()
            },
        )
        .expect("a delegation");
        let record = publisher(&key, &delegation).expect("signed");
        assert_eq!(record.signed().expires_at(), NOW.plus(DAY));
        let signer = Signer::Publisher { key: &key, delegation: &delegation };
        let error = realistic().sign(signer, None, &[], NOW.plus(DAY)).expect_err("over");
        assert_eq!(error, SignError::DelegationEnded { not_after: NOW.plus(DAY) });
    }

    #[test]
    fn only_the_right_key_signs() {
        let error = realistic().sign(by_grid(&key(5)), None, &[], NOW).expect_err("another key");
        assert!(matches!(error, SignError::NotTheGridKey { .. }));
        assert_eq!(publisher(&key(5), &delegation()), Err(SignError::NotThePublisher));
        let foreign = Delegation::issue(&key(5), &delegation_draft()).expect("a delegation");
        assert!(matches!(publisher(&publisher_key(), &foreign), Err(SignError::ForeignDelegation { .. })));
        let previous = RecordDraft::new(other_grid(5));
        let previous = previous.sign(Signer::Grid { key: &key(5), serial: NOW }, None, &[], NOW).expect("signed");
        let error = realistic().sign(by_grid(&grid_key()), Some(&previous), &[], NOW).expect_err("foreign");
        assert!(matches!(error, SignError::ForeignRecord { .. }));
    }

    #[test]
    fn a_publisher_leaves_the_key_to_follow_to_its_delegation() {
        let announced = DelegationDraft { next: Some(KeyDigest([1; 32])), ..delegation_draft() };
        let announced = Delegation::issue(&grid_key(), &announced).expect("a delegation");
        let key = publisher_key();
        let sign = |next: u8, delegation: &Delegation| {
            let draft = RecordDraft { next: Some(KeyDigest([next; 32])), ..realistic() };
            draft.sign(Signer::Publisher { key: &key, delegation }, None, &[], NOW).map(|record| record.next())
        };
        assert_eq!(sign(1, &announced), Ok(Some(KeyDigest([1; 32]))));
        assert_eq!(sign(2, &announced), Err(SignError::NextUnderDelegation));
        assert_eq!(sign(2, &delegation()), Err(SignError::NextUnderDelegation));
    }

    #[test]
    fn a_lower_serial_is_refused() {
        let later = Signer::Grid { key: &grid_key(), serial: NOW.plus(Seconds(60)) };
        let first = realistic().sign(later, None, &[], NOW).expect("signed");
        let error = realistic().sign(by_grid(&grid_key()), Some(&first), &[], NOW).expect_err("revoked");
        assert_eq!(error, SignError::SerialTooLow { serial: NOW.0, previous: NOW.0 + 60 });
    }

    #[test]
    fn a_promise_is_not_broken_by_signing() {
        let promised = with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW);
        let sign = |lines: &[&str], previous: Option<&GridRecord>, evidence: &[GridRecord]| {
            let rates = lines.iter().map(|line| rate(line)).collect();
            let draft = RecordDraft { rates, ..RecordDraft::new(grid()) };
            draft.sign(by_grid(&grid_key()), previous, evidence, NOW.plus(DAY))
        };
        for (lines, says) in [
            (&["0.03 USD/GiB until 2027-06-01"][..], "asks 0.03 USD/GiB"),
            (&["0.02 USD/GiB until 2027-05-31"], "only until 2027-05-31"),
            (&["0.02 USD/GiB from 2027-01-01 until 2027-06-01"], "begins only on 2027-01-01"),
            (&["0.01 EUR/GiB"], "drops it"),
            (&["free"], "drops it"),
            (&[], "drops it"),
        ] {
            for error in [sign(lines, Some(&promised), &[]), sign(lines, None, std::slice::from_ref(&promised))] {
                let error = error.expect_err("a breach").to_string();
                assert!(error.contains(says) && error.contains("0.02 USD/GiB is promised until 2027-06-01"), "{error}");
            }
        }
        for lines in [
            &["0.02 USD/GiB until 2027-06-01"][..],
            &["0.01 USD/GiB until 2027-07-01", "1 EUR/GiB"],
            &["0.02 USD/GiB until 2027-06-01 then 0.01 from 2027-01-01"],
            &["0.02 USD/GiB until 2027-06-01 then 0.03 from 2027-06-01", "free"],
        ] {
            sign(lines, Some(&promised), &[]).expect("kept");
        }
    }

    #[test]
    fn withdrawing_is_always_possible_and_final() {
        let promised = with_rates(&["0.02 USD/GiB until 2027-06-01"], NOW);
        let gone =
            RecordDraft::withdrawal(grid()).sign(by_grid(&grid_key()), Some(&promised), &[], NOW).expect("signed");
        assert!(gone.signed().withdrawn() && gone.signed().supersedes(promised.signed()));
        assert_eq!(gone.signed().expires_at(), NOW.plus(MAX_FINAL_LIFETIME));
        let error = realistic().sign(by_grid(&grid_key()), Some(&gone), &[], NOW.plus(DAY)).expect_err("final");
        assert_eq!(error, SignError::Withdrawn);
    }

    #[test]
    fn what_is_too_big_is_weighed() {
        let mut draft = realistic();
        draft.gateways.extend(realistic().gateways.into_iter().map(|gateway| {
            Gateway::new(
                gateway.address().cloned(),
                gateway.key().copied().or(Some(key(77).public())),
                gateway.roles().and(Roles::LOCATOR),
                None,
            )
            .expect("a gateway")
        }));
        for path in ["x", "y"] {
            draft.contact.push(format!("https://example.org/{}", path.repeat(100)).parse().expect("a contact"));
        }
        draft.predecessor = Some(other_grid(40));
        draft.next = Some(KeyDigest([4; 32]));
        let Err(SignError::Overweight(weights)) = draft.sign(by_grid(&grid_key()), None, &[], NOW) else {
            panic!("too big")
        };
        assert!(weights.used() > MAX_RECORD_BYTES);
        assert_eq!(weights.parts().iter().map(|part| part.1).sum::<usize>(), weights.used());
        let text = weights.to_string();
        assert!(
            text.contains("gateways ") && text.contains(" of 995 bytes used, ") && text.ends_with(" too many"),
            "{text}"
        );
    }

    #[test]
    fn what_a_reader_refuses_is_not_signed() {
        let twice = RecordDraft { rates: vec![rate("free"), rate("free")], ..RecordDraft::new(grid()) };
        let error = twice.sign(by_grid(&grid_key()), None, &[], NOW).expect_err("two lines");
        assert!(error.to_string().starts_with("rates, byte "), "{error}");
        let long = RecordDraft { lifetime: Some(Seconds::days(31)), ..RecordDraft::new(grid()) };
        let error = long.sign(by_grid(&grid_key()), None, &[], NOW).expect_err("too long").to_string();
        assert!(error.contains("lives 31 d, and at most 30 d"), "{error}");
    }
}
