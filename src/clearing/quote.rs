//! What a file will cost, before it is fetched: as a home says it and has signed it, and as its client holds it against that.

use crate::capability::Capability;
use crate::clearing::lane_documents::{MAX_ANSWER_BYTES, Octets};
use crate::keys::GridId;
use crate::peer::{GatewayClient, PeerError};
use crate::rate::{Asset, Money};
use crate::tariff::wire::Deck;
use crate::units::{Bytes, MinorUnits, PricePerGib};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What a file will cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Whose file it is.
    pub grid_id: String,
    /// What the home's policy says: `allowed`, `asked` or `refused`.
    pub decision: String,
    /// In the rule's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How it came to that, rule by rule.
    pub steps: Vec<String>,
    /// The price is in force until then, at least.
    pub until_unix_seconds: u64,
    /// Per 2^30 octets.
    pub price: Money,
    /// What the grid abroad asks of the home.
    pub abroad: Money,
    /// The size of the file.
    pub content_bytes: u64,
    /// What verifies it: at most so much, if the file is cut as said next.
    pub manifest_bytes: u64,
    /// Into units of so many octets: as its manifest says, where the home has seen it, or as is usual.
    #[serde(default)]
    pub unit_bytes: u64,
    /// For both, read once, at most: a second time it costs as much again.
    pub total: Money,
    /// The price as the home has signed it for this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deck_base64url: Option<Octets>,
}

/// Why there is no quote.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    /// The home gives none.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// What it gives is none.
    #[error("the home gateway answers otherwise than with a quote")]
    Form,
    /// Its price is not the one that it has signed for this client.
    #[error("the home gateway's quote is not what it has signed")]
    Unsigned,
}

impl Quote {
    /// Asks a home what a file will cost its client, and checks that its signed price says so.
    pub async fn ask(client: &GatewayClient, grid: &GridId, cap: &Capability) -> Result<Self, QuoteError> {
        let verify = cap.verify_cap().ok_or(PeerError::Literal)?;
        let file = Capability::File(verify.file().clone()).to_string();
        let path = format!("/v1/grids/{grid}/quote/{}", utf8_percent_encode(&file, NON_ALPHANUMERIC));
        let body = client.send(Method::GET, &path, "application/json", Vec::new().into(), MAX_ANSWER_BYTES).await?;
        let quote: Self = serde_json::from_slice(&body).map_err(|_| QuoteError::Form)?;
        let Some((asset, price)) = quote.rate() else { return Err(QuoteError::Form) };
        match &quote.deck_base64url {
            Some(deck) => {
                let deck = Deck::from_bytes(&deck.0).map_err(|_| QuoteError::Unsigned)?;
                let says = deck.body();
                let for_us = says.audience.is_none_or(|audience| audience == client.key());
                let for_it = says.destination.is_none_or(|destination| destination == *grid);
                let signed = says.seller == client.place().grid && (says.asset, says.price) == (asset, price);
                if signed && for_us && for_it { Ok(quote) } else { Err(QuoteError::Unsigned) }
            }
            None if price.0 > 0 => Err(QuoteError::Unsigned),
            None => Ok(quote),
        }
    }

    /// The price.
    pub fn rate(&self) -> Option<(Asset, PricePerGib)> {
        let (asset, units) = self.price.parsed()?;
        Some((asset, PricePerGib(units.0)))
    }
}

/// The most that so many octets come to in so many requests, each of which may be a lane of its own and is rounded up then.
pub fn at_most(price: PricePerGib, octets: Bytes, requests: u64) -> MinorUnits {
    if price.0 == 0 {
        return MinorUnits(0);
    }
    let charge = price.charge(octets).unwrap_or(MinorUnits::MAX);
    MinorUnits(charge.0.saturating_add(requests).min(MinorUnits::MAX.0))
}
