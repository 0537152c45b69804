//! The tables, version by version. A version that was ever released is not edited: a new one is added.
//!
//! One text for both databases: `BLOB` is PostgreSQL's `BYTEA`. Amounts, octets and times are 63-bit integers.

/// What makes the tables of one version out of those of the version before.
pub(super) struct Version {
    /// For both databases.
    pub(super) both: &'static [&'static str],
    /// For SQLite alone, after the others, as it wants them: where rows lie. PostgreSQL keeps rows apart from their keys anyway.
    pub(super) sqlite: &'static [&'static str],
}

/// The first version first.
pub(super) const VERSIONS: &[Version] = &[
    Version { both: FIRST, sqlite: &[] },
    Version { both: SECOND, sqlite: &[] },
    Version { both: THIRD, sqlite: THIRD_SQLITE },
    Version { both: FOURTH, sqlite: &[] },
    Version { both: FIFTH, sqlite: &[] },
];

const FIRST: &[&str] = &[
    // What was signed, as it was signed. `kind` is the object type; `owner` and `other` are the keys of the two parties.
    "CREATE TABLE paper (identity BLOB NOT NULL PRIMARY KEY, kind TEXT NOT NULL, owner BLOB NOT NULL, other BLOB NOT NULL, \
     at BIGINT NOT NULL, bytes BLOB NOT NULL)",
    "CREATE INDEX paper_of ON paper (kind, owner, other, at)",
    // Lanes: `part` is whose books these are, 0 the payer's, 1 the payee's, 2 the clearing node's.
    "CREATE TABLE lane (lane BLOB NOT NULL, part BIGINT NOT NULL, payer BLOB NOT NULL, payee BLOB NOT NULL, \
     destination BLOB NOT NULL, asset TEXT NOT NULL, price BIGINT NOT NULL, not_after BIGINT NOT NULL, at BIGINT NOT NULL, \
     bytes BLOB NOT NULL, PRIMARY KEY (lane, part))",
    "CREATE INDEX lane_of ON lane (part, payer, payee)",
    // The best voucher of each lane. Apart from the lane, so that many are written with one statement.
    "CREATE TABLE voucher (lane BLOB NOT NULL, part BIGINT NOT NULL, cum_bytes BIGINT NOT NULL, cum_amount BIGINT NOT NULL, \
     at BIGINT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (lane, part))",
    // The last voucher of each earlier hour, for auditors.
    "CREATE TABLE checkpoint (lane BLOB NOT NULL, part BIGINT NOT NULL, hour BIGINT NOT NULL, cum_bytes BIGINT NOT NULL, \
     cum_amount BIGINT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (lane, part, hour))",
    // Octets sent on a lane, written before they are.
    "CREATE TABLE sent (lane BLOB NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL)",
    "CREATE TABLE write_off (payer BLOB NOT NULL, day BIGINT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (payer, day))",
    // Double entry.
    "CREATE TABLE booking (booking BLOB NOT NULL PRIMARY KEY, kind TEXT NOT NULL, subject BLOB NOT NULL, part BIGINT NOT NULL, \
     at BIGINT NOT NULL)",
    "CREATE INDEX booking_of ON booking (kind, subject, part)",
    "CREATE TABLE entry (booking BLOB NOT NULL, account TEXT NOT NULL, asset TEXT NOT NULL, amount BIGINT NOT NULL, \
     PRIMARY KEY (booking, account, asset))",
    "CREATE TABLE balance (account TEXT NOT NULL, asset TEXT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (account, asset))",
    // Positions by their place in a chain, what of each lane they have named, and what was settled.
    "CREATE TABLE position (clearing BLOB NOT NULL, first BLOB NOT NULL, second BLOB NOT NULL, asset TEXT NOT NULL, \
     number BIGINT NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (clearing, first, second, asset, number))",
    "CREATE TABLE posted (lane BLOB NOT NULL PRIMARY KEY, cum_bytes BIGINT NOT NULL, cum_amount BIGINT NOT NULL)",
    "CREATE TABLE settlement (proof BLOB NOT NULL, debtor BLOB NOT NULL, creditor BLOB NOT NULL, asset TEXT NOT NULL, \
     part BIGINT NOT NULL, kind TEXT NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL, posted BLOB NOT NULL, \
     PRIMARY KEY (proof, debtor, creditor, asset, part))",
    // What was agreed on by all whom it affects; `us` is empty in a clearing node's books.
    "CREATE TABLE netting (netting BLOB NOT NULL, part BIGINT NOT NULL, us BLOB NOT NULL, bytes BLOB NOT NULL, \
     PRIMARY KEY (netting, part))",
    // For people: who read how much. `client` and `file` are empty where they are not known; a file is known by an HMAC only.
    "CREATE TABLE usage (day BIGINT NOT NULL, part BIGINT NOT NULL, party BLOB NOT NULL, grid BLOB NOT NULL, \
     client BLOB NOT NULL, file BLOB NOT NULL, asset TEXT NOT NULL, bytes BIGINT NOT NULL, amount BIGINT NOT NULL, \
     PRIMARY KEY (day, part, party, grid, client, file, asset))",
    // The processes that kept these books.
    "CREATE TABLE instance (instance BLOB NOT NULL PRIMARY KEY, at BIGINT NOT NULL)",
];

const SECOND: &[&str] = &[
    // What was written off of each lane in all, beside what was written off of its payer on each day.
    "CREATE TABLE lane_write_off (lane BLOB NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL)",
];

/// Bookings have numbers. Their names had been hashes, and a voucher of each hour of each lane touched pages of its own, of which a
/// commit writes every one: now what is booked together lies together.
const THIRD: &[&str] = &[
    "DROP INDEX booking_of",
    "ALTER TABLE booking RENAME TO booking_2",
    "ALTER TABLE entry RENAME TO entry_2",
    // `hour` is the one since 1970 that a lane's vouchers are of, and 0 of other kinds.
    "CREATE TABLE booking (booking BIGINT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, subject BLOB NOT NULL, part BIGINT NOT NULL, \
     hour BIGINT NOT NULL, at BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX booking_of ON booking (kind, subject, part, hour)",
    "CREATE TABLE entry (booking BIGINT NOT NULL, account TEXT NOT NULL, asset TEXT NOT NULL, amount BIGINT NOT NULL, \
     PRIMARY KEY (booking, account, asset))",
    "CREATE TABLE numbered (name BLOB NOT NULL PRIMARY KEY, booking BIGINT NOT NULL)",
    "INSERT INTO numbered (name, booking) SELECT booking, ROW_NUMBER() OVER (ORDER BY at, booking) FROM booking_2",
    "INSERT INTO booking (booking, kind, subject, part, hour, at) SELECT numbered.booking, kind, subject, part, \
     CASE WHEN kind = 'lane' THEN at / 3600 ELSE 0 END, at FROM booking_2 JOIN numbered ON name = booking_2.booking \
     ORDER BY numbered.booking",
    "INSERT INTO entry (booking, account, asset, amount) SELECT numbered.booking, account, asset, amount FROM entry_2 \
     JOIN numbered ON name = entry_2.booking ORDER BY numbered.booking, account, asset",
    "DROP TABLE entry_2",
    "DROP TABLE booking_2",
    "DROP TABLE numbered",
];

/// What is written again and again lies in the order in which lanes were opened, and not in that of their names.
const THIRD_SQLITE: &[&str] = &[
    "ALTER TABLE voucher RENAME TO voucher_2",
    "CREATE TABLE voucher (lane BLOB NOT NULL, part INTEGER NOT NULL, cum_bytes INTEGER NOT NULL, cum_amount INTEGER NOT NULL, \
     at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (lane, part)) STRICT",
    "INSERT INTO voucher (lane, part, cum_bytes, cum_amount, at, bytes) \
     SELECT lane, part, cum_bytes, cum_amount, at, bytes FROM voucher_2 ORDER BY at",
    "DROP TABLE voucher_2",
    "ALTER TABLE sent RENAME TO sent_2",
    "CREATE TABLE sent (lane BLOB NOT NULL PRIMARY KEY, bytes INTEGER NOT NULL) STRICT",
    "INSERT INTO sent (lane, bytes) SELECT lane, bytes FROM sent_2",
    "DROP TABLE sent_2",
];

const FOURTH: &[&str] = &[
    // Where a lane's two sides hold other vouchers, and both of these; `closed_at` is 0 as long as it is open.
    "CREATE TABLE dispute (lane BLOB NOT NULL, part BIGINT NOT NULL, differ_at BIGINT NOT NULL, agree_to BIGINT NOT NULL, \
     ours BLOB NOT NULL, theirs BLOB NOT NULL, found_at BIGINT NOT NULL, closed_at BIGINT NOT NULL, closed_by TEXT NOT NULL, \
     reason TEXT NOT NULL, PRIMARY KEY (lane, part, differ_at))",
];

const FIFTH: &[&str] = &[
    // A payer's lanes of which the payee knows all that these books do. What is not here is shown to it again.
    "CREATE TABLE told (lane BLOB NOT NULL PRIMARY KEY)",
    // What each gateway that writes these books has under way, as in `usage`: what quotas count beside that.
    "CREATE TABLE under_way (gateway BLOB NOT NULL, day BIGINT NOT NULL, part BIGINT NOT NULL, party BLOB NOT NULL, \
     grid BLOB NOT NULL, asset TEXT NOT NULL, bytes BIGINT NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL, \
     PRIMARY KEY (gateway, day, part, party, grid, asset))",
];
