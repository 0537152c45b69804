//! Ciphertext as it comes: cut into units, each verified before it is handed on, with few of them in memory.

use crate::peer::body::Answer;
use crate::peer::buffers::Buffers;
use crate::peer::client::GatewayClient;
use crate::peer::error::PeerError;
use crate::peer::files::LANES_TRIED;
use crate::peer::payment::{Came, PaidRequest, Payer, Purchase, lane_header};
use crate::units::Bytes as Octets;
use futures::Stream;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many octets of verified units may wait to be taken, beside the one that is being read.
const BYTES_WAITING: u64 = 4 << 20;
/// And how many units at most, however small.
const UNITS_WAITING: u64 = 64;
/// How often in a row a body may break off without a unit having come, before that is the answer.
const FRUITLESS: u32 = 2;

/// What a stream of units is verified by: the manifest of the file. (A trait so that it is tested without files.)
pub(super) trait UnitCheck: Send + Sync + 'static {
    /// The tag that names this very content.
    fn etag(&self) -> String;
    /// The octets of ciphertext in all.
    fn size(&self) -> u64;
    /// Where unit `unit` lies in the ciphertext.
    fn unit_range(&self, unit: u64) -> Range<u64>;
    /// Whether these octets are unit `unit`.
    fn is_right(&self, unit: u64, octets: &[u8]) -> bool;
    /// What is done with a unit that is right, in its place, before it is handed on: nothing.
    fn open(&self, _unit: u64, _octets: &mut [u8]) {}
}

/// Who pays for units, and what they are of.
pub(super) struct Paying {
    pub(super) payer: Arc<dyn Payer>,
    pub(super) purchase: Purchase,
}

/// Verified units in order, each with its number. After an error nothing more comes. Dropped, it tells the gateway to stop.
#[derive(Debug)]
pub struct Units {
    units: mpsc::Receiver<Result<(u64, Bytes), PeerError>>,
    reading: JoinHandle<()>,
}

impl Stream for Units {
    type Item = Result<(u64, Bytes), PeerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.units.poll_recv(context)
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        // It may be waiting for the network, and would not notice that nobody waits for it.
        self.reading.abort();
    }
}

/// The units of `range` from what is at `path`.
pub(super) fn units<C: UnitCheck>(
    client: GatewayClient,
    path: String,
    check: Arc<C>,
    range: Range<u64>,
    paying: Option<Paying>,
) -> Units {
    let unit = check.unit_range(range.start);
    let size = (unit.end - unit.start).max(1);
    let waiting = (BYTES_WAITING / size).clamp(1, UNITS_WAITING) as usize;
    let (sender, units) = mpsc::channel(waiting);
    let reading = Reading { client, path, check, range, sender, paying, buffers: Buffers::default() };
    Units { units, reading: tokio::spawn(reading.run()) }
}

struct Reading<C> {
    client: GatewayClient,
    path: String,
    check: Arc<C>,
    /// What is still to come.
    range: Range<u64>,
    sender: mpsc::Sender<Result<(u64, Bytes), PeerError>>,
    paying: Option<Paying>,
    buffers: Buffers,
}

/// Why a body was not read to its end.
enum Stop {
    /// Nobody wants the units any more.
    NotWanted,
    Error(PeerError),
}

impl From<PeerError> for Stop {
    fn from(error: PeerError) -> Self {
        Self::Error(error)
    }
}

impl<C: UnitCheck> Reading<C> {
    async fn run(mut self) {
        let mut fruitless = 0;
        let mut lanes = LANES_TRIED;
        while !self.range.is_empty() {
            let before = self.range.start;
            match self.read().await {
                Ok(()) => {}
                Err(Stop::NotWanted) => return,
                // The lane has ended, or its price: another one goes on from here.
                Err(Stop::Error(error)) if error.is_lane_closed() && (lanes > 0 || self.range.start > before) => {
                    lanes = if self.range.start > before { LANES_TRIED } else { lanes - 1 };
                }
                // What broke off is asked for again from where it broke off: then either it goes on, or a problem says why not.
                Err(Stop::Error(PeerError::Lost { .. })) if fruitless < FRUITLESS || self.range.start > before => {
                    fruitless = if self.range.start > before { 0 } else { fruitless + 1 };
                }
                Err(Stop::Error(error)) => {
                    // An error means that nobody waits for it.
                    let _ = self.sender.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// Asks for all that is still to come, and hands it on as far as it comes.
    async fn read(&mut self) -> Result<(), Stop> {
        let (first, last) = (self.range.start, self.range.end - 1);
        let octets = self.check.unit_range(first).start..self.check.unit_range(last).end;
        let mut paid = self.lane(Octets(octets.end - octets.start)).await?;
        let mut headers = self.headers(&octets).to_vec();
        headers.extend(paid.iter().map(|paid| lane_header(&paid.lane())));
        let mut answer = self.client.get(&self.path, &headers).await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            if answer.status().is_success() {
                return Err(self.client.malformed("not the range that was asked for").into());
            }
            let refusal = answer.refusal(&self.client).await;
            if let Some(paid) = paid.as_mut().filter(|_| refusal.is_lane_closed()) {
                paid.closed();
            }
            return Err(refusal.into());
        }
        let expected = format!("bytes {}-{}/{}", octets.start, octets.end - 1, self.check.size());
        if answer.headers().get(header::CONTENT_RANGE).is_none_or(|range| range != expected.as_str()) {
            return Err(self.client.malformed("another range than the one asked for").into());
        }
        let mut rest = Bytes::new();
        for unit in self.range.clone() {
            let range = self.check.unit_range(unit);
            let mut octets = self.unit(&mut answer, &mut rest, (range.end - range.start) as usize).await?;
            if !self.check.is_right(unit, &octets) {
                let place = self.client.place().nurl.place().clone();
                return Err(PeerError::Unit { place, unit }.into());
            }
            if let Some(paid) = &mut paid {
                paid.verified(Came::Ciphertext { offset: range.start }, Octets(octets.len() as u64));
            }
            self.check.open(unit, &mut octets);
            self.sender.send(Ok((unit, self.buffers.lend(octets)))).await.map_err(|_| Stop::NotWanted)?;
            self.range.start = unit + 1;
        }
        if !rest.is_empty() || answer.piece(&self.client).await?.is_some() {
            return Err(self.client.malformed("more than was asked for").into());
        }
        answer.end();
        Ok(())
    }

    /// A lane for a request of so many octets, where somebody pays.
    async fn lane(&self, octets: Octets) -> Result<Option<Box<dyn PaidRequest>>, PeerError> {
        let Some(Paying { payer, purchase }) = &self.paying else { return Ok(None) };
        payer.lane(&self.client, Purchase { octets: Some(octets), ..purchase.clone() }).await
    }

    fn headers(&self, octets: &Range<u64>) -> [(HeaderName, HeaderValue); 2] {
        let range = format!("bytes={}-{}", octets.start, octets.end - 1);
        let value = |text: String| HeaderValue::try_from(text).expect("digits and hexadecimal digits");
        [(header::RANGE, value(range)), (header::IF_MATCH, value(self.check.etag()))]
    }

    /// The next `size` octets: what is left of the piece before, and pieces as they come. The size is the manifest's, which
    /// has been checked against the cap; memory grows as octets come.
    async fn unit(&self, answer: &mut Answer, rest: &mut Bytes, size: usize) -> Result<Vec<u8>, Stop> {
        let mut octets = self.buffers.take();
        octets.extend_from_slice(&rest.split_to(rest.len().min(size)));
        while octets.len() < size {
            let Some(mut piece) = answer.piece(&self.client).await? else {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                let place = self.client.place().nurl.place().clone();
                return Err(PeerError::Lost { place, source }.into());
            };
            if octets.capacity() < size {
                // Something has come: then room for the rest of the unit is worth having at once.
                octets.reserve_exact(size - octets.len());
            }
            let missing = size - octets.len();
            if piece.len() > missing {
                *rest = piece.split_off(missing);
            }
            octets.extend_from_slice(&piece);
        }
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::fixtures::{CONTENT_BYTES, Fault, Gateway, Speaks, UNIT_BYTES, client_of, secret};
    use crate::peer::place::CallerIdentity;
    use crate::peer::refusal::RefusalCode;
    use futures::StreamExt;

    /// What the fixture's gateway serves.
    struct Known(Arc<Vec<u8>>);

    impl UnitCheck for Known {
        fn etag(&self) -> String {
            "\"0\"".to_owned()
        }

        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn unit_range(&self, unit: u64) -> Range<u64> {
            unit * UNIT_BYTES..((unit + 1) * UNIT_BYTES).min(self.size())
        }

        fn is_right(&self, unit: u64, octets: &[u8]) -> bool {
            let range = self.unit_range(unit);
            octets == &self.0[range.start as usize..range.end as usize]
        }
    }

    const ALL: Range<u64> = 0..CONTENT_BYTES.div_ceil(UNIT_BYTES);

    async fn reading(gateway: &Gateway, range: Range<u64>) -> Units {
        let client = client_of(gateway, CallerIdentity::Client(secret(9))).await.unwrap();
        units(client, "/v1/content".to_owned(), Arc::new(Known(gateway.content())), range, None)
    }

    /// The octets that came, and what ended them.
    async fn read(gateway: &Gateway, range: Range<u64>) -> (Vec<u8>, Option<PeerError>) {
        let mut units = reading(gateway, range.clone()).await;
        let (mut octets, mut expected) = (Vec::new(), range.start);
        while let Some(unit) = units.next().await {
            match unit {
                Ok((unit, piece)) => {
                    assert_eq!(unit, expected);
                    expected += 1;
                    octets.extend_from_slice(&piece);
                }
                Err(error) => return (octets, Some(error)),
            }
        }
        (octets, None)
    }

    #[tokio::test]
    async fn all_of_a_file_and_a_part_of_it_come_as_they_are() {
        for speaks in [Speaks::Both, Speaks::OneOnly] {
            let gateway = Gateway::start(speaks).await;
            let content = gateway.content();
            let (octets, error) = read(&gateway, ALL).await;
            assert!(error.is_none() && octets == *content, "{error:?}");
            let (octets, error) = read(&gateway, 3..5).await;
            let part = 3 * UNIT_BYTES as usize..5 * UNIT_BYTES as usize;
            assert!(error.is_none() && octets == content[part], "{error:?}");
            let (octets, error) = read(&gateway, 4..4).await;
            assert!(error.is_none() && octets.is_empty());
        }
    }

    #[tokio::test]
    async fn what_breaks_off_is_taken_up_where_it_broke_off() {
        for speaks in [Speaks::Both, Speaks::OneOnly] {
            let gateway = Gateway::start(speaks).await;
            for after in [0, 1, UNIT_BYTES as usize, 2 * UNIT_BYTES as usize + 7] {
                gateway.next([Fault::CutAfter(after), Fault::CutAfter(after)]);
                let (octets, error) = read(&gateway, ALL).await;
                assert!(error.is_none() && octets == *gateway.content(), "after {after}: {error:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_always_breaks_off_is_given_up_once_nothing_comes() {
        let gateway = Gateway::start(Speaks::Both).await;
        gateway.next(vec![Fault::CutAfter(7); 20]);
        let (octets, error) = read(&gateway, ALL).await;
        assert!(octets.is_empty() && matches!(error, Some(PeerError::Lost { .. })), "{error:?}");
        // A body that is cut before its head was looked at is asked for twice.
        let most = 2 * (1 + FRUITLESS as usize);
        assert!((20 - most..20 - most / 2 + 1).contains(&gateway.faults_left()), "{} left", gateway.faults_left());
    }

    #[tokio::test]
    async fn the_problem_that_names_why_it_broke_off_is_the_answer() {
        let gateway = Gateway::start(Speaks::Both).await;
        gateway.next([Fault::CutAfter(3 * UNIT_BYTES as usize), Fault::Problem]);
        let (octets, error) = read(&gateway, ALL).await;
        // A gateway that breaks off may drop what it has not sent yet.
        assert!(gateway.content().starts_with(&octets) && octets.len() % UNIT_BYTES as usize == 0);
        assert_eq!(error.map(|error| error.code()), Some(RefusalCode::TooFewShares));
    }

    #[tokio::test]
    async fn a_flipped_bit_is_named_by_its_unit_and_nothing_after_it_is_given() {
        let gateway = Gateway::start(Speaks::Both).await;
        gateway.next([Fault::Flip(2 * UNIT_BYTES as usize + 5)]);
        let (octets, error) = read(&gateway, ALL).await;
        assert!(octets == gateway.content()[..2 * UNIT_BYTES as usize]);
        assert!(matches!(error, Some(PeerError::Unit { unit: 2, .. })), "{error:?}");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_what_was_asked_for_is_refused() {
        for fault in [Fault::OtherRange, Fault::WholeFile, Fault::TooMuch] {
            let gateway = Gateway::start(Speaks::Both).await;
            gateway.next([fault]);
            let (_, error) = read(&gateway, 0..2).await;
            assert!(matches!(error, Some(PeerError::Malformed { .. })), "{fault:?}: {error:?}");
        }
    }

    #[tokio::test]
    async fn who_stops_reading_stops_the_gateway() {
        let gateway = Gateway::start(Speaks::Both).await;
        gateway.next([Fault::Endless]);
        let mut units = reading(&gateway, ALL).await;
        units.next().await.unwrap().unwrap();
        drop(units);
        gateway.is_rid_of_bodies().await;
    }
}
