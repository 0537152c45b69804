//! `kill -9`: what was acknowledged is found, and nothing is billed twice.

use crate::child::{LANES, Writer};
use crate::objects::{MIB, NOW, PRICE, lane, public, usd};
use crate::postgres::Postgres;
use lafs_clearinghouse::ledger::{Ledger, LedgerError, Location, Part};
use lafs_clearinghouse::units::Bytes;
use std::collections::BTreeMap;

/// How often the writer is killed, each time after so many acknowledgements.
const KILLS: [usize; 3] = [1, 250, 700];

#[tokio::test]
async fn what_was_acknowledged_has_survived_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    survives(Location::Sqlite(folder.path().join("ledger.sqlite"))).await;
}

#[tokio::test]
async fn what_was_acknowledged_has_survived_kill_9_on_postgresql() {
    let Some(server) = Postgres::start() else { return };
    survives(server.database("killed")).await;
}

async fn survives(location: Location) {
    let mut acked: BTreeMap<u32, u64> = BTreeMap::new();
    let mut count = 0;
    for after in KILLS {
        let mut writer = Writer::start(&location);
        let mut note = |line: String| {
            let (nth, mib) = line.split_once(' ').unwrap();
            acked.insert(nth.parse().unwrap(), mib.parse().unwrap());
            count += 1;
        };
        for _ in 0..after {
            note(writer.next("acked ").expect("it runs"));
        }
        writer.process.kill().unwrap();
        // What it had said before it was killed counts too.
        while let Some(line) = writer.next("acked ") {
            note(line);
        }
        writer.process.wait().unwrap();

        let ledger = Ledger::open(location.clone(), NOW).await.unwrap();
        let (mut found, mut billed) = (0, 0);
        for nth in 0..LANES {
            let stood = ledger.lane(Part::Payee, lane(1, 2, nth).identity()).await.unwrap();
            let mib = stood.and_then(|lane| lane.voucher).map_or(0, |voucher| voucher.body().cum_bytes.0 / MIB);
            assert!(mib >= acked.get(&nth).copied().unwrap_or(0), "lane {nth}: acknowledged {acked:?}, found {mib}");
            found += mib;
            billed += PRICE.charge(Bytes(mib * MIB)).unwrap().0;
        }
        let owed = ledger.owed(Part::Payee, public(1), public(2), usd()).await.unwrap();
        assert_eq!(owed, i128::from(billed));
        println!("{count} vouchers acknowledged, {found} found");
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_second_process_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let location = Location::Sqlite(path.clone());
    let mut writer = Writer::start(&location);
    writer.next("acked ").expect("it runs");
    let refused = Ledger::open(location.clone(), NOW).await.unwrap_err();
    assert!(matches!(&refused, LedgerError::InUse { path: found } if *found == path), "{refused:?}");
    // Who only reads is let in.
    let reading = Ledger::open_reading(location.clone()).await.unwrap();
    assert!(!reading.balances().await.unwrap().is_empty());
    reading.close().await;
    drop(writer);
    Ledger::open(location, NOW).await.unwrap().close().await;
}
