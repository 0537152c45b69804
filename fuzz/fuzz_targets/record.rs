//! Grid records: the bytes as they come, and their payload signed by the right key.
#![no_main]

use lafs_clearinghouse::record::{
    self, Authority, DraftFile, Evidence, Floor, GridRecord, Judgement, MAX_RECORD_BYTES, RecordDraft, RecordView,
    SignedRecord, Signer, TimeFault, Verdict, judge,
};
use lafs_clearinghouse::signed::{Envelope, ObjectType};
use lafs_clearinghouse::units::{Seconds, UnixSeconds};
use lafs_clearinghouse_fuzz::{NOW, as_found_and_signed, grid, grid_key, has_one_form, other_than, publisher_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for bytes in as_found_and_signed(data, ObjectType::Record) {
        match SignedRecord::from_bytes(&bytes, grid()) {
            Ok(signed) => kept(&signed, &bytes),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(GridRecord::from_bytes(&bytes, grid()).err(), Some(error), "no reader takes it");
                let Judgement { verdict, store, evidence } = judge(None, &bytes, grid(), NOW);
                assert!(matches!(verdict, Verdict::Bad(_) | Verdict::TooBig), "{verdict:?}");
                assert!(store.is_none() && evidence.is_none());
            }
        }
    }
});

/// What a holder keeps.
fn kept(signed: &SignedRecord, bytes: &[u8]) {
    assert_eq!(signed.bytes(), bytes);
    assert!(bytes.len() <= MAX_RECORD_BYTES);
    has_one_form(Envelope::from_bytes(bytes).expect("it was read").payload());
    assert!(!signed.supersedes(signed));
    let weights = signed.weights();
    assert_eq!((weights.used(), weights.left()), (bytes.len(), weights.limit() - bytes.len()));
    let other = other_than(bytes).signed();
    let places = [signed.supersedes(other), other.supersedes(signed), signed.identity() == other.identity()];
    assert_eq!(places.iter().filter(|is_so| **is_so).count(), 1, "one order, and one only");

    let (issued_at, expires_at) = (signed.issued_at(), signed.expires_at());
    for now in [UnixSeconds(issued_at.0 - 1), UnixSeconds(expires_at.0 - 1), expires_at, NOW] {
        let latest = now.plus(record::CLOCK_TOLERANCE);
        let current = issued_at <= latest && signed.serial() <= latest && now < expires_at;
        assert_eq!(signed.time_fault(now).is_none(), current);
    }
    judged(signed, other, NOW);
    judged(signed, other, issued_at);
    if let Ok(read) = GridRecord::read(signed.clone()) {
        understood(&read);
    }
}

/// The judgement over an offer is consistent, whatever is held.
fn judged(offered: &SignedRecord, other: &SignedRecord, now: UnixSeconds) {
    let fault = offered.time_fault(now);
    for held in [None, Some(other), Some(offered)] {
        let Judgement { verdict, store, evidence } = judge(held, offered.bytes(), grid(), now);
        let expected = match (&fault, held) {
            (Some(TimeFault::Expired { .. }), _) => Verdict::Expired,
            (Some(fault), _) => Verdict::Bad((*fault).into()),
            (None, None) => Verdict::Stored,
            (None, Some(held)) if held.identity() == offered.identity() => Verdict::Held,
            (None, Some(held)) if offered.supersedes(held) => Verdict::Stored,
            (None, Some(held)) => Verdict::Stale(held.clone()),
        };
        assert_eq!(verdict, expected);
        assert_eq!(store.as_ref(), (verdict == Verdict::Stored).then_some(offered));
        if let Some(evidence) = evidence {
            assert!(!matches!(verdict, Verdict::Bad(_)), "the future binds nobody");
            assert!(evidence.signed() == offered || held == Some(evidence.signed()));
            assert!(record::live_commitments(&evidence, now).next().is_some());
        }
    }
}

/// What a reader acts on.
fn understood(read: &GridRecord) {
    let signed = read.signed();
    let other = other_than(signed.bytes());
    let now = signed.issued_at();
    assert_eq!(record::breaches(read, read), [], "nobody breaks a promise by keeping it");
    assert!(record::heir_of(read, read).is_err());

    floors(read, other, now);
    promises(read, other, now);

    let view = RecordView::new(read, std::slice::from_ref(other), None, now);
    let json = serde_json::to_string(&view).expect("a view is JSON");
    let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(parsed["identity"], signed.identity().to_string());

    let lifetime = signed.expires_at().since(signed.issued_at());
    let draft = RecordDraft { lifetime: Some(lifetime), ..RecordDraft::from_record(read) };
    let file = DraftFile { draft, previous: Some(read.clone()), evidence: vec![other.clone()] };
    assert_eq!(file.to_string().parse::<DraftFile>().as_ref(), Ok(&file));
    let Some(again) = signed_again(&file.draft, signed) else { return };
    // What a draft does not carry is left out, and what lies in the past is carried out; nothing else changes, no promise is
    // broken, and signing it once more changes nothing at all.
    let redrafted = RecordDraft { lifetime: Some(lifetime), ..RecordDraft::from_record(&again) };
    assert_eq!(RecordDraft { rates: file.draft.rates.clone(), ..redrafted.clone() }, file.draft);
    assert_eq!(record::breaches(read, &again), []);
    for time in [now, signed.expires_at(), now.plus(Seconds::days(400))] {
        let prices = |record: &GridRecord| record.rates().iter().map(|rate| rate.price_at(time)).collect::<Vec<_>>();
        assert_eq!(prices(&again), prices(read), "at {time}");
    }
    assert!(again.signed().bytes().len() <= signed.bytes().len());
    let twice = signed_again(&redrafted, again.signed()).expect("as before");
    assert_eq!(twice.signed().bytes(), again.signed().bytes());
}

/// The same draft, signed at the same time by the same hand; `None` if that would not sign it: its serial is of a later
/// day, or it is not one of our two keys.
fn signed_again(draft: &RecordDraft, signed: &SignedRecord) -> Option<GridRecord> {
    let signer = match signed.authority() {
        Authority::GridKey { serial } => Signer::Grid { key: grid_key(), serial: *serial },
        Authority::Publisher(delegation) => Signer::Publisher { key: publisher_key(), delegation },
    };
    let ours = signed.authority().publisher().is_none_or(|key| *key == publisher_key().public());
    if !ours || signed.serial() > signed.issued_at().plus(record::CLOCK_TOLERANCE) {
        return None;
    }
    Some(draft.sign(signer, None, &[], signed.issued_at()).expect("what was signed can be signed again"))
}

/// A floor never sinks, and is on the disk what it is in memory.
fn floors(read: &GridRecord, other: &GridRecord, now: UnixSeconds) {
    let later = now.max(other.signed().issued_at());
    let of = |record: &GridRecord| Floor::of(record, later);
    for (first, second) in [(read, other), (other, read)] {
        let Some(floor) = of(first) else { continue };
        assert!(floor.admits(first.signed()));
        assert_eq!(floor.to_string().parse().as_ref(), Ok(&floor));
        let below = !floor.admits(second.signed());
        assert!(!below || first.signed().supersedes(second.signed()), "only an older one is refused");
        let Some(raised) = floor.raised_by(second, later) else { continue };
        assert_eq!(raised.to_string().parse().as_ref(), Ok(&raised));
        assert!(!below || !raised.admits(second.signed()), "it sank");
        assert!(raised.admits(first.signed()) || second.signed().supersedes(first.signed()), "it rose over its own");
        assert!(floor.next().is_none() || raised.next() == floor.next(), "an announced key stays");
        assert!(raised.contested() || !floor.contested());
        let _ = record::moved_to(read, &raised);
    }
}

/// Promises bind in whatever order records are met.
fn promises(read: &GridRecord, other: &GridRecord, now: UnixSeconds) {
    let collected = |records: [&GridRecord; 3]| {
        let mut evidence = Evidence::new();
        records.into_iter().for_each(|record| evidence.add(record.clone(), now));
        evidence
    };
    let evidence = collected([read, other, read]);
    assert_eq!(evidence, collected([other, read, other]));
    for promise in record::live_commitments(read, now).filter(|promise| promise.binds_at(now)) {
        for current in [None, Some(other), Some(read)] {
            let price = record::binding_price(promise.asset, current, evidence.records(), now);
            assert!(price.is_some_and(|price| price <= promise.price), "{promise:?}: {price:?}");
        }
    }
    let outlasting = record::outlasts(read, None, now);
    assert_eq!(outlasting, record::live_commitments(read, now).next().is_some());
    assert!(!record::outlasts(read, Some(read), now), "a record keeps its own promises");
}
