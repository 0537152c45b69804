//! Statements with their positions, which come from whoever wants to be paid. The bytes as they come; and the same with what is in
//! them taken for payloads, which the target signs, each position naming the one before it.
#![no_main]

use lafs_clearinghouse::cbor::{CborError, MapWriter, Reader};
use lafs_clearinghouse::signed::{ObjectType, seal};
use lafs_clearinghouse::tariff::statement_proof::StatementProof;
use lafs_clearinghouse::tariff::wire::Position;
use lafs_clearinghouse_fuzz::{grid_key, has_one_form};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    judged(data);
    if let Ok(Some(bytes)) = signed(data) {
        judged(&bytes);
    }
});

/// What is taken is in one form, says the same when it is written again, and its positions are of one history.
fn judged(bytes: &[u8]) {
    match StatementProof::from_bytes(bytes) {
        Ok(proof) => {
            let again = proof.to_bytes();
            has_one_form(&again);
            assert_eq!(StatementProof::from_bytes(&again).as_ref(), Ok(&proof));
            for pair in proof.positions().windows(2) {
                let [before, after] = [pair[0].body(), pair[1].body()];
                assert_eq!((after.number, after.previous), (before.number + 1, Some(pair[0].identity())));
                assert!(after.time >= before.time && after.charged_first >= before.charged_first);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The statement in key 1 and the positions in key 2, signed.
fn signed(data: &[u8]) -> Result<Option<Vec<u8>>, CborError> {
    let (mut statement, mut positions, mut reader) = (None, Vec::new(), Reader::new(data));
    let mut before: Option<[u8; 32]> = None;
    reader.map(|key, reader| match key {
        1 => {
            statement = Some(seal(ObjectType::Statement, reader.bytes(usize::MAX)?, grid_key()));
            Ok(())
        }
        2 => reader
            .array(8, |reader| {
                let mut payload = reader.bytes(usize::MAX)?.to_vec();
                // Its hash nobody can guess.
                let place = payload.windows(3).position(|it| it == [6, 0x58, 0x20]).map(|at| at + 3);
                let named = place.and_then(|at| payload.get_mut(at..at + 32));
                if let (Some(named), Some(before)) = (named, &before) {
                    named.copy_from_slice(before);
                }
                let position = seal(ObjectType::Position, &payload, grid_key());
                before = Position::from_bytes(&position).ok().map(|position| position.identity().0);
                let mut item = MapWriter::new().bytes(0, &position).finish();
                // Without the head of the map and its key.
                item.drain(..2);
                positions.push(item);
                Ok(())
            })
            .map(drop),
        _ => reader.skip(),
    })?;
    let Some(statement) = statement else { return Ok(None) };
    let mut map = MapWriter::new();
    map.uint(0, 1).bytes(1, &statement);
    if !positions.is_empty() {
        map.array(2, &positions);
    }
    Ok(Some(map.finish()))
}
