//! Evidence bundles, which come from whoever wants to be paid. The bytes as they come; and the same with its papers and lanes taken
//! for payloads, which the target signs by the keys that they name, so that what lies behind the signatures is reached.
#![no_main]

use lafs_clearinghouse::cbor::{CborError, Reader};
use lafs_clearinghouse::signed::{ObjectType, seal, sign};
use lafs_clearinghouse::tariff::bundle::{Bundle, BundleError, BundlePaper, LaneFault, check_bundle};
use lafs_clearinghouse::tariff::wire::LaneOpen;
use lafs_clearinghouse_fuzz::{grid, grid_key, has_one_form, publisher_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    judged(data);
    if let Ok(Some(bundle)) = signed(data) {
        let bytes = bundle.to_bytes();
        has_one_form(&bytes);
        if judged(&bytes) {
            twice(bundle);
        }
    }
});

/// Whether it holds. What does is in one form, and every bill is of something.
fn judged(bytes: &[u8]) -> bool {
    match check_bundle(bytes) {
        Ok(report) => {
            has_one_form(bytes);
            let lanes: u64 = report.bills.values().map(|bill| bill.lanes).sum();
            assert!(report.unnamed_keys <= lanes);
            assert!(report.bills.values().all(|bill| bill.lanes > 0 && bill.bytes >= u128::from(bill.lanes)));
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// A lane that holds is not billed a second time.
fn twice(mut bundle: Bundle) {
    let Some(lane) = bundle.lanes.first().cloned() else { return };
    bundle.lanes.push(lane);
    let refused = check_bundle(&bundle.to_bytes());
    assert!(matches!(refused, Err(BundleError::Lane { fault: LaneFault::Twice, .. })), "{refused:?}");
}

/// What is in a bundle, signed: of two signers the payer is the publisher, as in the vectors of money.
fn signed(data: &[u8]) -> Result<Option<Bundle>, CborError> {
    let (mut bundle, mut reader) = (Bundle::default(), Reader::new(data));
    reader.map(|key, reader| match key {
        1 => reader
            .array(8, |reader| {
                let ([kind, bytes], _) = pieces(reader)?;
                let kinds = [ObjectType::Terms, ObjectType::Deck, ObjectType::Record];
                let Some(kind) = kinds.into_iter().find(|it| it.name().as_bytes() == kind) else { return Ok(()) };
                let bytes = if kind == ObjectType::Terms { by_both(kind, bytes) } else { seal(kind, bytes, grid_key()) };
                bundle.papers.push(BundlePaper { kind, grid: *grid().as_bytes(), bytes });
                Ok(())
            })
            .map(drop),
        2 => reader
            .array(8, |reader| {
                let (_, [open, voucher]) = pieces(reader)?;
                let open = by_both(ObjectType::LaneOpen, open);
                let mut voucher = voucher.to_vec();
                // A voucher of this lane, whose identity nobody can guess.
                if let Ok(lane) = LaneOpen::from_bytes(&open)
                    && voucher.len() >= 36
                    && voucher[1..4] == [0, 0x58, 0x20]
                {
                    voucher[4..36].copy_from_slice(&lane.identity().0);
                }
                bundle.lanes.push((open, seal(ObjectType::Voucher, &voucher, grid_key())));
                Ok(())
            })
            .map(drop),
        _ => reader.skip(),
    })?;
    Ok((!bundle.papers.is_empty() || !bundle.lanes.is_empty()).then_some(bundle))
}

fn by_both(object: ObjectType, payload: &[u8]) -> Vec<u8> {
    [&seal(object, payload, publisher_key())[..], &sign(object, payload, grid_key())].concat()
}

/// Of a map the text under key 0 and the octets under key 2, of a paper; and the octets under keys 0 and 1, of a lane.
#[expect(clippy::type_complexity, reason = "two pairs of octets")]
fn pieces<'b>(reader: &mut Reader<'b>) -> Result<([&'b [u8]; 2], [&'b [u8]; 2]), CborError> {
    let (mut paper, mut lane) = ([&[][..]; 2], [&[][..]; 2]);
    reader.map(|key, reader| {
        let text = reader.clone().text(usize::MAX).map(str::as_bytes);
        let octets = reader.clone().bytes(usize::MAX);
        match (key, text, octets) {
            (0, Ok(text), _) => paper[0] = text,
            (0, _, Ok(octets)) => lane[0] = octets,
            (1, _, Ok(octets)) => lane[1] = octets,
            (2, _, Ok(octets)) => paper[1] = octets,
            _ => {}
        }
        reader.skip()
    })?;
    Ok((paper, lane))
}
