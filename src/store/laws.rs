//! What holds of a book whatever it is offered, in whatever order, and across restarts.

use crate::clock::Clock;
use crate::config::Home;
use crate::keys::{GridId, SecretKey};
use crate::rate::{Asset, RateLine};
use crate::record::{
    Delegation, DelegationDraft, Evidence, GridRecord, RecordDraft, Signer, TimeFault, Verdict, binding_price,
};
use crate::signed::Identity;
use crate::store::book::Book;
use crate::store::floors::Floors;
use crate::units::{PricePerGib, Seconds, UnixSeconds};
use proptest::prelude::*;
use std::collections::BTreeMap;

const HOUR: u64 = 3_600;
const ASSETS: [&str; 3] = ["USD", "EUR", "XXX"];
/// How many grids the offers are of.
const GRIDS: u8 = 2;

fn grid_key(grid: u8) -> SecretKey {
    SecretKey::from_seed(&[grid + 1; 32])
}

fn grid_of(grid: u8) -> GridId {
    GridId::new(grid_key(grid).public())
}

/// What a record is to say, in hours and days from now, so that few values meet often.
#[derive(Debug, Clone)]
struct Said {
    grid: u8,
    /// Hours before now; three hours after now at the least, which is the future.
    issued: i64,
    serial: u64,
    days: u64,
    withdrawn: bool,
    delegated: bool,
    name: u8,
    /// Asset, price, committed until so many days from now.
    rates: Vec<(usize, u64, Option<u64>)>,
}

impl Said {
    fn sign(&self, now: UnixSeconds) -> Option<GridRecord> {
        let issued_at = UnixSeconds(now.0.checked_add_signed(-self.issued * HOUR as i64)?);
        let serial = UnixSeconds(now.0 - 400 * HOUR + self.serial);
        let nickname = (self.name > 0).then(|| self.name.to_string().parse().expect("a name"));
        let rates = self.rates.iter().filter_map(|(asset, price, until)| {
            let asset = Asset::from_code(ASSETS[*asset]).expect("known");
            let price = if asset.is_free() { PricePerGib(0) } else { PricePerGib(*price) };
            RateLine::new(asset, price, None, until.map(|days| now.plus(Seconds::days(days))), None).ok()
        });
        let grid = grid_of(self.grid);
        let draft = if self.withdrawn {
            RecordDraft::withdrawal(grid)
        } else {
            RecordDraft { nickname, rates: rates.collect(), ..RecordDraft::new(grid) }
        };
        let draft = RecordDraft { lifetime: Some(Seconds::days(self.days)), ..draft };
        let key = grid_key(self.grid);
        if !self.delegated || self.withdrawn {
            return draft.sign(Signer::Grid { key: &key, serial }, None, &[], issued_at).ok();
        }
        let publisher = SecretKey::from_seed(&[99; 32]);
        let delegation = DelegationDraft {
            serial,
            publisher: publisher.public(),
            not_after: serial.plus(Seconds::days(400)),
            next: None,
            max_limit: None,
            committed_until: None,
        };
        let delegation = Delegation::issue(&key, &delegation).expect("a delegation");
        draft.sign(Signer::Publisher { key: &publisher, delegation: &delegation }, None, &[], issued_at).ok()
    }
}

fn said() -> impl Strategy<Value = Said> {
    let rate = (0..ASSETS.len(), 1..3_u64, proptest::option::of(1..10_u64));
    let withdrawn = prop::bool::weighted(0.05);
    let parts = (
        0..GRIDS,
        prop::sample::select(vec![-4_i64, -1, 0, 1, 24, 48, 72, 100]),
        0..3_u64,
        1..9_u64,
        withdrawn,
        any::<bool>(),
        0..3_u8,
        prop::collection::vec(rate, 0..3),
    );
    parts.prop_map(|(grid, issued, serial, days, withdrawn, delegated, name, rates)| Said {
        grid,
        issued,
        serial,
        days,
        withdrawn,
        delegated,
        name,
        rates,
    })
}

/// Records of some grids; fewer of each than its evidence has room for, so that nothing is pushed out.
fn records(count: usize) -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec(said(), 1..=count)
}

fn sign_all(said: &[Said], now: UnixSeconds) -> Vec<GridRecord> {
    said.iter().filter_map(|said| said.sign(now)).collect()
}

fn offer(book: &mut Book, record: &GridRecord) -> Verdict {
    book.offer(record.grid(), record.signed().bytes())
}

/// What a book tells others: of each grid the identities of record and evidence, and the digests by which books are compared.
type Told = (BTreeMap<GridId, (Option<Identity>, Vec<Identity>)>, Vec<(usize, [u8; 8])>);

fn told(book: &mut Book) -> Told {
    let mut row = |grid: GridId| {
        let record = book.row(&grid).map(|row| row.record.identity());
        let mut evidence: Vec<Identity> =
            book.all_evidence(&grid).iter().map(|record| record.signed().identity()).collect();
        evidence.sort();
        (grid, (record, evidence))
    };
    let rows = (0..GRIDS).map(|grid| row(grid_of(grid))).collect();
    let buckets = book.digests().buckets();
    let empty = Book::in_memory(Clock::system()).digests().buckets()[0];
    (rows, buckets.iter().copied().enumerate().filter(|(_, digest)| *digest != empty).collect())
}

/// The book of a data directory, all of its rows verified.
fn open(home: &Home, clock: Clock) -> Book {
    let mut book = Book::open(home, None, clock).expect("a book");
    while let Some(rows) = book.unverified() {
        book.take_in(rows.verify());
    }
    book
}

/// The prices that bind, by this book, for so many days to come.
fn prices(book: &Book, now: UnixSeconds) -> Vec<Option<PricePerGib>> {
    let mut prices = Vec::new();
    for grid in (0..GRIDS).map(grid_of) {
        let current = book.current(&grid).and_then(|record| GridRecord::read(record).ok());
        for asset in ASSETS.map(|code| Asset::from_code(code).expect("known")) {
            prices.extend((0..12).map(|days| {
                let at = now.plus(Seconds(HOUR + days * 24 * HOUR));
                binding_price(asset, current.as_ref(), &book.all_evidence(&grid), at)
            }));
        }
    }
    prices
}

/// Evidence was once kept in files named by the sequence alone. A grid that signs twice in one second, from two backups or to
/// get rid of a promise, so made two records of one sequence, of which only the first survived a restart.
#[test]
fn evidence_of_one_sequence_is_kept_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let home = Home::new(dir.path());
    let clock = Clock::adjustable();
    let said = |serial, issued, rates| Said {
        grid: 0,
        issued,
        serial,
        days: 7,
        withdrawn: false,
        delegated: false,
        name: 0,
        rates,
    };
    let twice = [said(0, 1, vec![(0, 1, Some(9))]), said(1, 1, vec![(1, 1, Some(9))]), said(2, 0, vec![])];
    let records = sign_all(&twice, clock.now());
    assert_eq!(records[0].signed().sequence(), records[1].signed().sequence());
    let mut book = open(&home, clock);
    for record in &records {
        offer(&mut book, record);
    }
    assert_eq!(book.all_evidence(&grid_of(0)).len(), 2);
    let before = told(&mut book);
    book.close();
    drop(book);
    let mut book = open(&home, clock);
    assert_eq!(told(&mut book), before);
}

/// Of two records that promise the same the newer one counts; once an older one that was current took the place of a newer one
/// that had expired, or not, by which of them came first.
#[test]
fn an_expired_record_that_is_newer_is_kept_in_any_order() {
    let clock = Clock::adjustable();
    let said = |serial, issued| Said {
        grid: 0,
        issued,
        serial,
        days: 1,
        withdrawn: false,
        delegated: false,
        name: 0,
        rates: vec![(2, 1, Some(5))],
    };
    let records = sign_all(&[said(0, 0), said(1, 72)], clock.now());
    let books = [[0, 1], [1, 0]].map(|order| {
        let mut book = Book::in_memory(clock);
        order.into_iter().for_each(|n| drop(offer(&mut book, &records[n])));
        assert_eq!(book.all_evidence(&grid_of(0)), [records[1].clone()]);
        told(&mut book)
    });
    assert_eq!(books[0], books[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_order_and_repetition_of_offers_ends_in_the_same_book(
        said in records(7),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        hours in 0..300_i64,
    ) {
        let clock = Clock::adjustable();
        let records = sign_all(&said, clock.now());
        prop_assume!(!records.is_empty());
        let mut straight = Book::in_memory(clock);
        let mut shuffled = Book::in_memory(clock);
        for record in &records {
            offer(&mut straight, record);
        }
        // Any of them in any order, some of them twice; then those that were left out, from the last one on.
        for record in order.iter().map(|index| index.get(&records)).chain(records.iter().rev()) {
            offer(&mut shuffled, record);
        }
        prop_assert_eq!(told(&mut straight), told(&mut shuffled));
        prop_assert_eq!(prices(&straight, clock.now()), prices(&shuffled, clock.now()));
        // Time passes for both alike.
        clock.advance(hours * HOUR as i64);
        straight.sweep();
        shuffled.sweep();
        prop_assert_eq!(told(&mut straight), told(&mut shuffled));
    }

    #[test]
    fn what_is_held_is_never_replaced_by_less(said in records(9), hours in prop::collection::vec(0..30_i64, 9)) {
        let clock = Clock::adjustable();
        let records = sign_all(&said, clock.now());
        let mut book = Book::in_memory(clock);
        for (record, hours) in records.iter().zip(&hours) {
            let held = book.row(record.grid()).map(|row| row.record.clone());
            let verdict = offer(&mut book, record);
            let now_held = book.row(record.grid()).map(|row| row.record.clone());
            match (&held, &now_held) {
                (Some(held), Some(now_held)) if held != now_held => prop_assert!(now_held.supersedes(held)),
                (Some(_), None) => prop_assert!(false, "lost by an offer"),
                _ => {}
            }
            // The same bytes again change nothing, end no sooner, and are never news.
            let again = offer(&mut book, record);
            prop_assert!(!matches!(again, Verdict::Stored), "{verdict:?}, then {again:?}");
            prop_assert_eq!(book.row(record.grid()).map(|row| row.record.clone()), now_held.clone());
            if let Some(held) = now_held {
                prop_assert_eq!(book.current(record.grid()).is_some(), held.expires_at() > clock.now());
            }
            clock.advance(hours * HOUR as i64);
            book.sweep();
            for grid in (0..GRIDS).map(grid_of) {
                let held = book.row(&grid).map(|row| row.record.expires_at());
                prop_assert!(held.is_none_or(|end| end.plus(Seconds::days(1)) > clock.now()), "kept too long");
            }
        }
    }
}

/// What `to` lacks of `from`, taken in as it is when two nodes compare their books.
fn pull(from: &mut Book, to: &mut Book) {
    for grid in (0..GRIDS).map(grid_of) {
        if from.digests().of(grid.as_bytes()) == to.digests().of(grid.as_bytes()) {
            continue;
        }
        for evidence in from.all_evidence(&grid) {
            to.offer_evidence(&grid, evidence.signed().bytes());
        }
        if let Some(record) = from.current(&grid) {
            to.offer(&grid, record.bytes());
        }
    }
}

proptest! {
    #[test]
    fn books_that_are_compared_become_the_same(said in records(12), split in prop::collection::vec(any::<bool>(), 12)) {
        let clock = Clock::adjustable();
        let (mut one, mut two) = (Book::in_memory(clock), Book::in_memory(clock));
        for (record, first) in sign_all(&said, clock.now()).iter().zip(split) {
            offer(if first { &mut one } else { &mut two }, record);
        }
        // Twice: evidence comes before the record, and beside an older one it may have been nothing new.
        for _ in 0..2 {
            pull(&mut one, &mut two);
            pull(&mut two, &mut one);
        }
        prop_assert_eq!(one.digests().buckets(), two.digests().buckets());
        let held = told(&mut one);
        pull(&mut one, &mut two);
        prop_assert_eq!(told(&mut one), held, "nothing more to be had");
    }
}

proptest! {
    // Slower ones: many records, or a disk.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn books_full_of_evidence_become_the_same_too(
        promises in prop::collection::vec((0..2_usize, 1..30_u64, 1..30_u64, 0..60_i64, any::<bool>()), 12..40),
    ) {
        let clock = Clock::adjustable();
        let now = clock.now();
        let (mut one, mut two) = (Book::in_memory(clock), Book::in_memory(clock));
        for (asset, price, until, issued, first) in promises {
            let rates = vec![(asset, price, Some(until))];
            let said =
                Said { grid: 0, issued, serial: 0, days: 3, withdrawn: false, delegated: false, name: 0, rates };
            if let Some(record) = said.sign(now) {
                offer(if first { &mut one } else { &mut two }, &record);
            }
        }
        // What one has no room for may make room in the other.
        for _ in 0..4 {
            pull(&mut one, &mut two);
            pull(&mut two, &mut one);
        }
        prop_assert_eq!(told(&mut one), told(&mut two));
    }

    #[test]
    fn caps_hold_whatever_is_offered(
        offers in prop::collection::vec((0..12_u8, said()), 1..40),
        capacity in 1..6_usize,
        place: [u8; 4],
    ) {
        let clock = Clock::adjustable();
        let own = grid_of(11);
        let mut book = Book::with_capacity(capacity, Some(own), clock);
        book.set_place(&place);
        let mut own_held = false;
        for (grid, said) in offers {
            let Some(record) = (Said { grid, ..said }).sign(clock.now()) else { continue };
            let was_held = book.row(record.grid()).is_some();
            let verdict = offer(&mut book, &record);
            book.offer_evidence(record.grid(), record.signed().bytes());
            own_held |= *record.grid() == own && verdict == Verdict::Stored;
            // One more for the grid that the node itself is of.
            prop_assert!(book.len() <= capacity + 1, "{} records where {capacity} may be", book.len());
            prop_assert!(!was_held || verdict != Verdict::Busy, "there is room for what is held");
            prop_assert!(!own_held || book.row(&own).is_some(), "its own record was put out");
            for grid in (0..12).map(grid_of) {
                prop_assert!(book.all_evidence(&grid).len() <= Evidence::MAX);
            }
        }
        let told = book.digests().buckets();
        let mut again = Book::with_capacity(usize::MAX, None, clock);
        for grid in (0..12).map(grid_of) {
            let Some(record) = book.row(&grid).map(|row| row.record.bytes().to_vec()) else { continue };
            again.offer(&grid, &record);
            for evidence in book.all_evidence(&grid) {
                again.offer_evidence(&grid, evidence.signed().bytes());
            }
        }
        prop_assert_eq!(again.digests().buckets(), told, "what is held is what its digests say");
    }

    #[test]
    fn a_restart_changes_nothing(said in records(7), hours in prop::collection::vec(0..60_i64, 1..4)) {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::new(dir.path());
        let clock = Clock::adjustable();
        let records = sign_all(&said, clock.now());
        let mut book = open(&home, clock);
        for (part, hours) in records.chunks(records.len().div_ceil(hours.len()).max(1)).zip(hours.iter().cycle()) {
            for record in part {
                offer(&mut book, record);
            }
            clock.advance(hours * HOUR as i64);
            book.sweep();
            let before = (told(&mut book), prices(&book, clock.now()));
            book.close();
            drop(book);
            book = open(&home, clock);
            prop_assert_eq!((told(&mut book), prices(&book, clock.now())), before);
        }
        // The cache is lost: what had been promised beyond a record's own end is not.
        let promised: Vec<Vec<GridRecord>> = (0..GRIDS).map(|grid| book.all_evidence(&grid_of(grid))).collect();
        book.close();
        drop(book);
        std::fs::remove_dir_all(home.store()).expect("the cache");
        let book = open(&home, clock);
        prop_assert!(book.is_empty());
        for (grid, promised) in promised.iter().enumerate() {
            let kept = book.all_evidence(&grid_of(grid as u8));
            prop_assert!(promised.iter().all(|record| kept.contains(record)), "{promised:?} of {kept:?}");
        }
    }

    #[test]
    fn a_floor_never_sinks_whatever_is_seen_and_across_restarts(
        said in records(9),
        restarts in prop::collection::vec(any::<bool>(), 9),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::new(dir.path());
        let now = Clock::system().now();
        let records = sign_all(&said, now);
        let mut floors = Floors::open(&home).expect("a folder");
        let admitted = |floors: &Floors| -> Vec<bool> {
            let floor = |record: &GridRecord| {
                floors.of(record.grid(), now).expect("readable").is_none_or(|floor| floor.admits(record.signed()))
            };
            records.iter().map(floor).collect()
        };
        let mut seen: Vec<&GridRecord> = Vec::new();
        for (record, restart) in records.iter().zip(restarts) {
            let before = admitted(&floors);
            floors.raise(record, now).expect("a disk");
            if restart {
                floors = Floors::open(&home).expect("the same folder");
            }
            // What is dated in the future is no reason to refuse anything.
            let future = matches!(
                record.signed().time_fault(now),
                Some(TimeFault::IssuedInFuture { .. } | TimeFault::SerialInFuture { .. })
            );
            seen.extend((!future).then_some(record));
            for ((other, before), after) in records.iter().zip(before).zip(admitted(&floors)) {
                prop_assert!(before || !after, "{other:?} was below the floor");
                let of_grid = || seen.iter().filter(|seen| seen.grid() == other.grid());
                let is_older = of_grid().any(|seen| seen.signed().supersedes(other.signed()));
                prop_assert_eq!(after, !is_older, "{:?}", other);
            }
        }
    }
}
