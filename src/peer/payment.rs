//! Who pays for what a gateway delivers: the seam between fetching and paying. What is paid, and how, is for `clearing`.

use crate::capability::Capability;
use crate::keys::GridId;
use crate::peer::client::GatewayClient;
use crate::peer::error::PeerError;
use crate::units::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::header::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::Arc;

/// The header that names the lane on which a request is served: its id in 64 lower-case hexadecimal digits.
pub const LANE: HeaderName = HeaderName::from_static("lane");

/// A request that is to be paid for.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// The grid whose file it is.
    pub grid: GridId,
    /// The file's verify cap.
    pub file: Capability,
    /// How many octets it is, where that is known.
    pub octets: Option<Bytes>,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// A manifest, of units from this one on.
    Manifest {
        /// Its first unit.
        first: u64,
    },
    /// A unit of ciphertext.
    Ciphertext {
        /// Where in the ciphertext it begins.
        offset: u64,
    },
}

/// Finds lanes for requests.
pub trait Payer: fmt::Debug + Send + Sync {
    /// A lane for this one request; `None` where the gateway knows no lanes.
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>>;
}

/// One request on a lane. When it is dropped, what came of it is acknowledged.
pub trait PaidRequest: Send {
    /// The lane, for [`LANE`].
    fn lane(&self) -> [u8; 32];

    /// What it costs, for people; `None` where that is nothing.
    fn price(&self) -> Option<String>;

    /// Notes that these octets came and are right: they are owed for.
    fn verified(&mut self, came: Came, octets: Bytes);

    /// The gateway says that the lane is over: nothing else is asked for on it.
    fn closed(&mut self);
}

/// A payer that takes what is free, and refuses the rest before it is asked for.
#[derive(Debug)]
pub struct FreeOnly(pub Arc<dyn Payer>);

impl Payer for FreeOnly {
    fn lane<'a>(
        &'a self,
        client: &'a GatewayClient,
        purchase: Purchase,
    ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>> {
        async move {
            let lane = self.0.lane(client, purchase).await?;
            let Some(price) = lane.as_ref().and_then(|lane| lane.price()) else { return Ok(lane) };
            // The lane goes back unused.
            Err(PeerError::Price { price, limit: "nothing is paid for what nobody has asked for yet".to_owned() })
        }
        .boxed()
    }
}

/// How a lane is named in a request.
pub(super) fn lane_header(lane: &[u8; 32]) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(data_encoding::HEXLOWER.encode(lane)).expect("hexadecimal digits");
    (LANE, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::fixtures::{Gateway, Speaks, client_of, secret};
    use crate::peer::place::CallerIdentity;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Has lanes at this price, and counts those that came back unused.
    #[derive(Debug)]
    struct At(Option<&'static str>, Arc<AtomicUsize>);

    struct Lane(Option<&'static str>, Arc<AtomicUsize>);

    impl Payer for At {
        fn lane<'a>(
            &'a self,
            _: &'a GatewayClient,
            _: Purchase,
        ) -> BoxFuture<'a, Result<Option<Box<dyn PaidRequest>>, PeerError>> {
            let lane: Box<dyn PaidRequest> = Box::new(Lane(self.0, Arc::clone(&self.1)));
            async move { Ok(Some(lane)) }.boxed()
        }
    }

    impl PaidRequest for Lane {
        fn lane(&self) -> [u8; 32] {
            [7; 32]
        }

        fn price(&self) -> Option<String> {
            self.0.map(str::to_owned)
        }

        fn verified(&mut self, _: Came, _: Bytes) {
            panic!("nothing came");
        }

        fn closed(&mut self) {
            panic!("nobody says so");
        }
    }

    impl Drop for Lane {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn what_has_a_price_is_not_begun_and_its_lane_goes_back_unused() {
        let gateway = Gateway::start(Speaks::Both).await;
        let client = client_of(&gateway, CallerIdentity::Client(secret(9))).await.unwrap();
        let file = "URI:SSK-Verifier:atnxn235qwowi2kosbbayke46m:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
        let purchase = Purchase { grid: gateway.grid, file: file.parse().unwrap(), octets: None };
        let back = Arc::new(AtomicUsize::new(0));
        let payer = |price| FreeOnly(Arc::new(At(price, Arc::clone(&back))));
        let free = payer(None).lane(&client, purchase.clone()).await.unwrap().expect("a lane");
        assert_eq!((free.lane(), back.load(Ordering::SeqCst)), ([7; 32], 0));
        let refused = payer(Some("5 USD per GiB")).lane(&client, purchase).await.err().expect("a refusal");
        assert!(refused.to_string().contains("5 USD per GiB"), "{refused}");
        assert_eq!(back.load(Ordering::SeqCst), 1);
    }
}
