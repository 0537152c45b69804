//! A till over a ledger on the disk: what the machine promises, by the code that runs.

use crate::clearing::lane_documents::CheckedOffer;
use crate::clearing::lane_use::Delivery;
use crate::clearing::till::{Till, TillParts};
use crate::clearing::till_error::TillError;
use crate::clearing::till_open::Sale;
use crate::clock::Clock;
use crate::keys::{GridId, PublicKey};
use crate::ledger::{Ledger, Location, Part};
use crate::peer::Came;
use crate::tariff::WindowRefusal;
use crate::tariff::lane::{LaneSecret, Limits, Served, ServedKind, Transcript, VoucherFault, WriteOff};
use crate::tariff::wire::fixtures::{grid, name, public, secret, usd};
use crate::tariff::wire::{LaneId, LaneOpen, Payment, PaymentBody, Signed, Voucher, VoucherBody};
use crate::units::{Bytes, MinorUnits, PricePerGib, UnixSeconds};
use futures::FutureExt;
use std::time::Duration;
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
const DAY: u64 = 86_400;
/// One minor unit for each MiB.
const PRICE: PricePerGib = PricePerGib(1_024);
const INDEX: [u8; 16] = [7; 16];
/// How long something may take that happens at once.
const SOON: Duration = Duration::from_secs(60);

/// A till, and what a restart of it leaves.
struct Shop {
    dir: tempfile::TempDir,
    till: Till,
    clock: Clock,
}

/// A lane as its payer knows it.
struct Lane {
    open: LaneOpen,
    secret: LaneSecret,
    cum: u64,
    transcript: Transcript,
}

impl Shop {
    async fn start() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::adjustable());
        // Noon, so that no test sees the day end.
        let into_the_day = clock.now().0 % DAY;
        clock.advance((DAY + DAY / 2 - into_the_day) as i64);
        let till = Self::till(&dir, clock).await;
        Self { dir, till, clock }
    }

    async fn till(dir: &tempfile::TempDir, clock: Clock) -> Till {
        let location = Location::Sqlite(dir.path().join("ledger.sqlite"));
        // The process before this one lets go of the file when the last of its handles is gone.
        let ledger = loop {
            match Ledger::open(location.clone(), clock.now()).await {
                Ok(ledger) => break ledger,
                Err(crate::ledger::LedgerError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        Till::new(TillParts { ledger, grid: grid(2), key: secret(12), clock })
    }

    /// Ends this process of it, whatever is under way, and begins another one.
    async fn restart(self) -> Self {
        let Self { dir, till, clock } = self;
        drop(till);
        let till = Self::till(&dir, clock).await;
        Self { dir, till, clock }
    }

    fn limits(window: u64, credit: Option<u64>) -> Limits {
        let credit = credit.map(MinorUnits);
        Limits { window: Some(Bytes(window)), credit, write_off: WriteOff::KNOWN }
    }

    async fn open(&self, limits: Limits) -> Lane {
        let sale = Sale {
            payer: public(1),
            payer_key: public(11),
            asset: usd(),
            price: PRICE,
            evidence: Some(crate::signed::Identity([3; 32])),
            terms: None,
            grant: None,
            not_after: UnixSeconds::MAX,
            limits,
        };
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).unwrap();
        let secret_of_lane = LaneSecret::new(octets);
        let offer = CheckedOffer {
            destination: grid(2),
            asset: None,
            payer_instance: [1; 16],
            payer_session: public(21),
            payer_nonce: octets[..16].try_into().unwrap(),
            secret_hash: secret_of_lane.hash(),
            position: None,
            terms: None,
            confirmed: false,
        };
        let open = self.till.propose(&offer, &sale).unwrap().accept(&secret(11)).unwrap();
        let id = self.till.agree(open.bytes(), octets, &sale).await.unwrap();
        Lane { transcript: Transcript::start(&id), open, secret: secret_of_lane, cum: 0 }
    }

    /// Sends one delivery on a request of its own.
    async fn sends(&self, lane: &Lane, offset: u64, mib: u64) -> Result<(), TillError> {
        let request = self.till.take(lane.id(), &payer(), &grid(2), &INDEX).unwrap();
        let room: Delivery = request.reserve(Came::Ciphertext { offset }, Bytes(mib * MIB), Bytes(mib * MIB)).await?;
        room.goes_out();
        request.finish();
        Ok(())
    }

    async fn acknowledges(&self, lane: &mut Lane, of: &[(u64, u64)]) -> Result<Voucher, TillError> {
        let entries: Vec<Served> = of.iter().map(|(offset, mib)| lane.served(*offset, *mib)).collect();
        let voucher = lane.voucher(&entries);
        self.till.voucher(&payer(), lane.id(), voucher.bytes(), Some(&entries)).await
    }

    async fn owed(&self) -> i128 {
        self.till.ledger().owed(Part::Payee, payer(), *grid(2).key(), usd()).await.unwrap()
    }
}

impl Lane {
    fn id(&self) -> LaneId {
        self.open.identity()
    }

    fn served(&self, offset: u64, mib: u64) -> Served {
        Served { kind: ServedKind::Ciphertext, object: self.secret.object(&INDEX), offset, length: Bytes(mib * MIB) }
    }

    /// The next voucher, for these too.
    fn voucher(&mut self, entries: &[Served]) -> Voucher {
        self.cum += entries.iter().map(|served| served.length.0).sum::<u64>();
        self.transcript = entries.iter().fold(self.transcript, Transcript::and);
        let cum_amount = PRICE.charge(Bytes(self.cum)).unwrap();
        let (lane, transcript) = (self.id(), self.transcript.0);
        let body =
            VoucherBody { lane, cum_bytes: Bytes(self.cum), cum_amount, time: UnixSeconds(1_800_000_000), transcript };
        Voucher::issue(&body, &self.open, &secret(21)).unwrap()
    }
}

fn payer() -> PublicKey {
    public(1)
}

const CLIENT: u64 = 16 * MIB;

#[tokio::test]
async fn several_requests_are_served_on_a_lane_at_once_and_acknowledged_in_any_order() {
    let shop = Shop::start().await;
    let mut lane = shop.open(Shop::limits(CLIENT, None)).await;
    let first = shop.till.take(lane.id(), &payer(), &grid(2), &INDEX).unwrap();
    let second = shop.till.take(lane.id(), &payer(), &grid(2), &INDEX).unwrap();
    for (request, offset) in [(&first, 0), (&second, 10), (&first, 1), (&second, 11)] {
        let room = request.reserve(Came::Ciphertext { offset }, Bytes(MIB), Bytes(MIB)).await.unwrap();
        room.goes_out();
    }
    let best = shop.acknowledges(&mut lane, &[(10, 1), (0, 1), (11, 1)]).await.unwrap();
    assert_eq!(best.body().cum_bytes, Bytes(3 * MIB));
    assert_eq!(shop.owed().await, 3);
    // What was not delivered is acknowledged by nobody, and harms nothing.
    let mut other = Lane { open: lane.open.clone(), secret: lane.secret.clone(), ..lane };
    let refused = shop.acknowledges(&mut other, &[(12, 1)]).await;
    assert!(matches!(refused, Err(TillError::Voucher(VoucherFault::Transcript))), "{refused:?}");
    shop.acknowledges(&mut lane, &[(1, 1)]).await.unwrap();
    assert_eq!(shop.owed().await, 4);
}

#[tokio::test]
async fn all_lanes_of_a_payer_share_one_window_and_who_waits_goes_on_when_the_books_have_a_voucher() {
    let shop = Shop::start().await;
    let mut one = shop.open(Shop::limits(CLIENT, None)).await;
    let other = shop.open(Shop::limits(CLIENT, None)).await;
    for offset in 0..4 {
        shop.sends(&one, offset, 4).await.unwrap();
    }
    let mut waits = Box::pin(shop.sends(&other, 0, 4));
    assert!((&mut waits).now_or_never().is_none(), "the window is full");
    shop.acknowledges(&mut one, &[(0, 4)]).await.unwrap();
    timeout(SOON, waits).await.expect("room").unwrap();
    // Who does not wait for its turn is out of the way.
    let gone = shop.sends(&other, 1, 4).now_or_never();
    assert!(gone.is_none());
    shop.acknowledges(&mut one, &[(1, 4)]).await.unwrap();
    timeout(SOON, shop.sends(&other, 2, 4)).await.expect("room").unwrap();
}

#[tokio::test]
async fn a_request_that_breaks_off_leaves_its_lane_open_and_what_it_brought_is_acknowledged() {
    let shop = Shop::start().await;
    let mut lane = shop.open(Shop::limits(CLIENT, None)).await;
    let request = shop.till.take(lane.id(), &payer(), &grid(2), &INDEX).unwrap();
    for offset in 0..2 {
        let room = request.reserve(Came::Ciphertext { offset }, Bytes(MIB), Bytes(MIB)).await.unwrap();
        room.goes_out();
    }
    let never = request.reserve(Came::Ciphertext { offset: 2 }, Bytes(MIB), Bytes(MIB)).await.unwrap();
    drop(request);
    drop(never);
    shop.acknowledges(&mut lane, &[(0, 1)]).await.unwrap();
    shop.sends(&lane, 3, 1).await.unwrap();
    shop.acknowledges(&mut lane, &[(3, 1)]).await.unwrap();
    assert_eq!(shop.owed().await, 2);
    shop.till.close(&payer(), lane.id()).unwrap();
    // One of the three was never acknowledged, and is written off. The books charge nothing that never left.
    let is_told = async || loop {
        let charged = shop.till.ledger().unvouchered().await.unwrap().get(&payer()).copied();
        if charged.is_none() {
            break;
        }
        tokio::task::yield_now().await;
    };
    timeout(SOON, is_told()).await.expect("the books are told what the lane came to");
}

#[tokio::test]
async fn what_a_request_brought_that_broke_off_is_told_apart_from_what_is_under_way() {
    let shop = Shop::start().await;
    let mut lane = shop.open(Shop::limits(CLIENT, None)).await;
    let request = shop.till.take(lane.id(), &payer(), &grid(2), &INDEX).unwrap();
    for offset in 0..3 {
        let room = request.reserve(Came::Ciphertext { offset }, Bytes(MIB), Bytes(MIB)).await.unwrap();
        room.goes_out();
    }
    assert_eq!(shop.till.broken_off(&payer()), None, "it is under way");
    drop(request);
    let end = lane.open.body().not_after;
    assert_eq!(shop.till.broken_off(&payer()), Some((Bytes(3 * MIB), end)));
    assert_eq!(shop.till.broken_off(&public(9)), None);
    shop.acknowledges(&mut lane, &[(1, 1)]).await.unwrap();
    assert_eq!(shop.till.broken_off(&payer()), Some((Bytes(2 * MIB), end)));
}

#[tokio::test]
async fn a_restart_gives_nobody_the_days_write_off_again() {
    let mut shop = Shop::start().await;
    // Twice the window is sent and never acknowledged: the first of it is written off for the second.
    for _ in 0..2 {
        let lane = shop.open(Shop::limits(CLIENT, None)).await;
        shop.sends(&lane, 0, 16).await.unwrap();
        shop.till.close(&payer(), lane.id()).unwrap();
    }
    for restarts in 0..2 {
        let lane = shop.open(Shop::limits(CLIENT, None)).await;
        let refused = shop.sends(&lane, 0, 1).await;
        let adrift =
            |refusal: &WindowRefusal| matches!(refusal, WindowRefusal::Adrift { adrift, .. } if adrift.0 >= CLIENT);
        assert!(
            matches!(&refused, Err(TillError::Window(refusal)) if adrift(refusal)),
            "after {restarts} restarts: {refused:?}"
        );
        shop = shop.restart().await;
    }
    shop.clock.advance(DAY as i64);
    let lane = shop.open(Shop::limits(CLIENT, None)).await;
    shop.sends(&lane, 0, 1).await.unwrap();
}

#[tokio::test]
async fn a_payer_shows_after_a_restart_what_it_had_acknowledged_and_has_room_again() {
    let shop = Shop::start().await;
    let mut lane = shop.open(Shop::limits(64 * MIB, Some(1_000))).await;
    shop.sends(&lane, 0, 20).await.unwrap();
    let (entries, id) = ([lane.served(0, 20)], lane.id());
    let voucher = lane.voucher(&entries);
    let shop = shop.restart().await;
    let fresh = shop.open(Shop::limits(64 * MIB, Some(1_000))).await;
    // The old lane's 20 MiB and as many that were noted ahead, and no more than 16 MiB of them written off.
    let refused = shop.sends(&fresh, 0, 60).await;
    assert!(matches!(refused, Err(TillError::Window(WindowRefusal::Adrift { .. }))), "{refused:?}");
    let closed = shop.till.take(id, &payer(), &grid(2), &INDEX).unwrap_err();
    assert!(matches!(closed, TillError::Closed(_)), "{closed:?}");
    let best = shop.till.voucher(&payer(), id, voucher.bytes(), None).await.unwrap();
    assert_eq!(best.bytes(), voucher.bytes());
    assert_eq!(shop.owed().await, 20);
    shop.sends(&fresh, 0, 60).await.unwrap();
    assert!(matches!(shop.till.voucher(&public(9), id, voucher.bytes(), None).await, Err(TillError::NoLane)));
}

#[tokio::test]
async fn lanes_that_ended_are_shown_all_at_once_and_too_late_nobody_takes_them() {
    let shop = Shop::start().await;
    let mut shown = Vec::new();
    for _ in 0..3 {
        let mut lane = shop.open(Shop::limits(CLIENT, None)).await;
        shop.sends(&lane, 0, 4).await.unwrap();
        let entries = [lane.served(0, 4)];
        shown.push((lane.id(), Some(lane.voucher(&entries).bytes().to_vec())));
    }
    let shop = shop.restart().await;
    shop.clock.advance(2 * DAY as i64);
    let of_nobody = (crate::signed::Identity([9; 32]), None);
    let taken = shop.till.shown(&payer(), &[shown[0].clone(), of_nobody, shown[1].clone()]).await;
    let best = |taken: &Result<Option<Vec<u8>>, TillError>| taken.as_ref().ok().cloned().flatten();
    assert_eq!((best(&taken[0]), best(&taken[2])), (shown[0].1.clone(), shown[1].1.clone()));
    assert!(matches!(taken[1], Err(TillError::NoLane)), "{taken:?}");
    assert_eq!(shop.owed().await, 8);
    shop.clock.advance(30 * DAY as i64);
    let taken = shop.till.shown(&payer(), &shown).await;
    assert_eq!(best(&taken[0]), shown[0].1, "what counts is confirmed again");
    assert!(matches!(taken[2], Err(TillError::Over)), "{taken:?}");
    assert_eq!(shop.owed().await, 8);
}

#[tokio::test]
async fn at_half_of_the_credit_it_is_time_to_settle_and_at_the_limit_nothing_more_is_lent_until_it_is_settled() {
    let shop = Shop::start().await;
    let limits = Shop::limits(64 * MIB, Some(10));
    let mut lane = shop.open(limits).await;
    shop.sends(&lane, 0, 5).await.unwrap();
    shop.acknowledges(&mut lane, &[(0, 5)]).await.unwrap();
    assert!(shop.till.time_to_settle().now_or_never().is_none(), "half is not more than half");
    shop.sends(&lane, 1, 4).await.unwrap();
    shop.acknowledges(&mut lane, &[(1, 4)]).await.unwrap();
    timeout(SOON, shop.till.time_to_settle()).await.expect("it is told");
    let refused = shop.sends(&lane, 2, 2).await;
    assert!(matches!(&refused, Err(TillError::Credit { .. })), "{refused:?}");
    // A restart lends nothing that the books do not.
    let shop = shop.restart().await;
    let lane = shop.open(limits).await;
    let refused = shop.sends(&lane, 2, 2).await;
    assert!(matches!(&refused, Err(TillError::Credit { .. })), "{refused:?}");
    let body = PaymentBody {
        creditor: grid(2),
        signer: public(12),
        debtor: GridId::new(payer()),
        asset: usd(),
        amount: MinorUnits(9),
        serial: 1,
        paid_at: shop.clock.now(),
        reference: name("paid"),
        statement: None,
    };
    let payment: Payment = Signed::sign(&body, &secret(12)).unwrap();
    shop.till.ledger().pay(Part::Payee, payment, shop.clock.now()).await.unwrap();
    shop.sends(&lane, 2, 2).await.unwrap();
    shop.sends(&lane, 3, 8).await.unwrap();
    assert!(matches!(shop.sends(&lane, 4, 1).await, Err(TillError::Credit { .. })), "ten, and no more");
}

#[tokio::test]
async fn a_lane_that_is_closed_stops_a_request_in_the_middle_and_what_came_is_acknowledged() {
    let shop = Shop::start().await;
    let mut lane = shop.open(Shop::limits(CLIENT, None)).await;
    let request = shop.till.take(lane.id(), &payer(), &grid(2), &INDEX).unwrap();
    for offset in 0..4 {
        let room = request.reserve(Came::Ciphertext { offset }, Bytes(4 * MIB), Bytes(4 * MIB)).await.unwrap();
        room.goes_out();
    }
    let mut waits = Box::pin(request.reserve(Came::Ciphertext { offset: 4 }, Bytes(4 * MIB), Bytes(4 * MIB)));
    assert!((&mut waits).now_or_never().is_none());
    shop.till.close(&payer(), lane.id()).unwrap();
    let refused = timeout(SOON, waits).await.expect("an answer");
    assert!(matches!(refused, Err(TillError::Closed(_))), "{refused:?}");
    shop.acknowledges(&mut lane, &[(0, 4), (1, 4), (2, 4), (3, 4)]).await.unwrap();
    assert_eq!(shop.owed().await, 16);
}

#[tokio::test]
async fn a_free_lane_of_a_stranger_is_counted_and_held_to_nothing() {
    let shop = Shop::start().await;
    let limits = Limits { window: None, credit: None, write_off: WriteOff::Nothing };
    let mut lane = shop.open(limits).await;
    for offset in 0..20 {
        shop.sends(&lane, offset, 4).await.unwrap();
    }
    shop.acknowledges(&mut lane, &[(3, 4)]).await.unwrap();
    let standing = shop.till.standing(&payer(), lane.id()).await.unwrap();
    assert!(standing.open && standing.voucher_base64url.is_some());
}
