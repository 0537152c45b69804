//! Books that an older program wrote.

use crate::objects::{MIB, NOW, lane, payment, public, usd, voucher};
use lafs_clearinghouse::ledger::{Kept, Ledger, LedgerError, Location, Part, Verified};
use lafs_clearinghouse::units::{Bytes, Seconds};
use sqlx::{AssertSqlSafe, Connection, Executor};

const VERSION_2: &str = include_str!("version_2.sql");
/// What is in them.
const EXPECTED: Verified = Verified { lanes: 4, vouchers: 12, papers: 3, positions: 1, accounts: 12 };

/// Makes the tables of the second version, and their rows.
async fn write(location: &Location) {
    let (url, postgres) = match location {
        Location::Sqlite(path) => (format!("sqlite://{}?mode=rwc", path.display()), false),
        Location::Postgres(url) => (url.clone(), true),
    };
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    for line in VERSION_2.lines().filter(|line| !line.starts_with("--")) {
        let text = if postgres {
            let text = line.replace(" BLOB ", " BYTEA ").replace(" INTEGER ", " BIGINT ").replace("X'", "'\\x");
            text.replace(" STRICT", "").replace(", WITHOUT ROWID", "")
        } else {
            line.to_owned()
        };
        connection.execute(AssertSqlSafe(text)).await.unwrap();
    }
    connection.close().await.unwrap();
}

pub(crate) async fn books_of_an_older_program_are_gone_on_with(location: Location) {
    write(&location).await;
    let refused = Ledger::open_reading(location.clone()).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Older { found: 2, .. }), "who reads changes nothing: {refused:?}");

    let ledger = Ledger::open(location, NOW).await.unwrap();
    assert_eq!(ledger.verify().await.unwrap(), EXPECTED);
    let (bookings, entries) = counts(&ledger).await;
    assert_eq!((bookings, entries), (16, 36), "three hours of four lanes, a payment in each of three parts, a netting");
    let mut lines = Vec::new();
    ledger.each_entry(|line| lines.push(line)).await.unwrap();
    assert!(lines.is_sorted_by_key(|line| (line.at, line.booking)), "numbers follow the time");

    // An hour that was begun is gone on with, and what was booked once is not booked again.
    let opened = lane(1, 2, 1);
    let found = ledger.lane(Part::Payee, opened.identity()).await.unwrap().unwrap();
    assert_eq!((found.sent, found.written_off), (Bytes(16 * MIB), Bytes(MIB)));
    let owed = async || ledger.owed(Part::Payee, public(1), public(2), usd()).await.unwrap();
    let before = owed().await;
    let same_hour = voucher(&opened, 15 * MIB);
    let billed = ledger.voucher(Part::Payee, same_hour, vec![], NOW.plus(Seconds::hours(2))).await.unwrap().billed;
    assert_eq!(owed().await, before + i128::from(billed.0));
    assert_eq!(counts(&ledger).await, (bookings, entries));
    assert_eq!(ledger.pay(Part::Payee, payment(1, 2, 100, 0), NOW).await.unwrap(), Kept::Already);
    let next_hour = voucher(&opened, 16 * MIB);
    ledger.voucher(Part::Payee, next_hour, vec![], NOW.plus(Seconds::hours(3))).await.unwrap();
    assert_eq!(counts(&ledger).await, (bookings + 1, entries + 2));
    assert_eq!(ledger.verify().await.unwrap(), Verified { vouchers: 13, ..EXPECTED });
    ledger.close().await;
}

/// How many bookings and entries there are.
async fn counts(ledger: &Ledger) -> (u64, u64) {
    let counts = ledger.counts().await.unwrap();
    let rows = |name| counts.iter().find(|count| count.table == name).unwrap().rows;
    (rows("booking"), rows("entry"))
}
