//! What payer and payee of a lane say to each other, as JSON around what they sign. Specification: `docs/spec/clearing.md`,
//! "On the wire".

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::signed::Identity;
use crate::tariff::lane::{MAX_ENTRIES, Served};
use crate::tariff::wire::LaneId;
use serde::{Deserialize, Serialize};

/// The most octets of what is sent to open a lane or to acknowledge something.
pub const MAX_REQUEST_BYTES: usize = 8 << 10;
/// The most octets of a voucher with its deliveries: twice as many as one voucher acknowledges, since one that was not confirmed
/// is followed by another.
pub const MAX_VOUCHER_BYTES: usize = (2 * MAX_ENTRIES * Served::BYTES).div_ceil(3) * 4 + 1_024;
/// The most octets of an answer to it.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;
/// How many lanes are shown at once.
pub const MAX_SHOWN: usize = 128;
/// The most octets of lanes that are shown, and of the answer to it.
pub const MAX_SHOWN_BYTES: usize = MAX_SHOWN * 512 + 64;

/// Octets as base64url without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

/// What a payer brings to a lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneOffer {
    /// Whose files it is for.
    pub destination: GridId,
    /// What the payer would pay in; left out: whatever is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// The payer's process: 16 octets.
    pub payer_instance_base64url: Octets,
    /// The key that will sign vouchers: 32 octets.
    pub payer_session_base64url: Octets,
    /// The payer's part in the lane's name: 16 octets.
    pub payer_nonce_base64url: Octets,
    /// The SHA-256 of the lane's secret.
    pub secret_hash_base64url: Octets,
    /// The last position that the payer holds of the two: 32 octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_base64url: Option<Octets>,
    /// The terms that the payer would use: 32 octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_base64url: Option<Octets>,
    /// Whether a person has confirmed what the home's policy asks about.
    #[serde(default)]
    pub confirmed: bool,
}

/// A lane as the payee proposes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneProposed {
    /// The `lane-open/1` that the payee has signed.
    pub proposal_base64url: Octets,
    /// The deck that gives its price, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deck_base64url: Option<Octets>,
    /// How much may be delivered and not vouched for, over all lanes of the payer.
    pub window_bytes: u64,
}

/// A lane as both have signed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneAgreed {
    /// The agreed `lane-open/1`.
    pub lane_open_base64url: Octets,
    /// The lane's secret: 32 octets.
    pub secret_base64url: Octets,
}

/// A lane that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneOpened {
    /// Its id, 64 hexadecimal digits.
    pub lane: String,
}

/// A voucher on its way to the payee.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoucherSent {
    /// The `voucher/1`.
    pub voucher_base64url: Octets,
    /// The deliveries that it acknowledges beyond the last voucher that the payee has confirmed, 49 octets each. Left out, the
    /// voucher is shown: the payee takes it for what its payer says, and nothing else of the lane is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries_base64url: Option<Octets>,
}

impl VoucherSent {
    /// The deliveries; `None`: it is shown; the name of the field, if they are none.
    pub fn deliveries(&self) -> Result<Option<Vec<Served>>, &'static str> {
        let Some(octets) = &self.deliveries_base64url else { return Ok(None) };
        let (entries, rest) = octets.0.as_chunks();
        let entries: Option<Vec<Served>> = entries.iter().map(Served::from_bytes).collect();
        entries.filter(|_| rest.is_empty()).map(Some).ok_or("deliveries_base64url")
    }
}

/// How far a lane has come, to the payee's knowledge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneStanding {
    /// Whether something is delivered on it still.
    pub open: bool,
    /// The best voucher, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher_base64url: Option<Octets>,
    /// The payee's report; of a lane that this process opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_base64url: Option<Octets>,
}

/// Lanes on which nothing is read any more, shown by their payer all at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanesShown {
    /// At most [`MAX_SHOWN`].
    pub lanes: Vec<LaneShown>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneShown {
    /// Its id, 64 hexadecimal digits.
    pub lane: String,
    /// The best voucher that its payer has of it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher_base64url: Option<Octets>,
}

/// What came of them, in the same order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LanesTaken {
    /// One for each lane that was shown.
    pub lanes: Vec<LaneTaken>,
}

/// What came of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneTaken {
    /// Its id, 64 hexadecimal digits.
    pub lane: String,
    /// The voucher that counts, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher_base64url: Option<Octets>,
    /// Why what was shown of it is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<NotTaken>,
}

/// Why a lane that was shown is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotTaken {
    /// These books do not have it, or it is somebody else's.
    NotFound,
    /// It ended longer ago than it may be vouched for.
    LaneClosed,
    /// What was shown is no voucher of it.
    Malformed,
    /// A reason that this program does not know.
    #[serde(other)]
    Other,
}

impl Octets {
    /// Exactly so many.
    pub fn exactly<const N: usize>(&self) -> Option<[u8; N]> {
        self.0.as_slice().try_into().ok()
    }
}

impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

impl Serialize for Octets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octets = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes());
        octets.map(Self).map_err(|_| serde::de::Error::custom("not base64url without padding"))
    }
}

/// A [`LaneOffer`] whose fields are what they must be.
#[derive(Debug, Clone)]
pub struct CheckedOffer {
    /// Whose files it is for.
    pub destination: GridId,
    /// What the payer would pay in.
    pub asset: Option<Asset>,
    /// The payer's process.
    pub payer_instance: [u8; 16],
    /// The key that will sign vouchers.
    pub payer_session: PublicKey,
    /// The payer's part in the lane's name.
    pub payer_nonce: [u8; 16],
    /// The SHA-256 of the lane's secret.
    pub secret_hash: [u8; 32],
    /// The last position that the payer holds of the two.
    pub position: Option<Identity>,
    /// The terms that the payer would use.
    pub terms: Option<Identity>,
    /// Whether a person has confirmed.
    pub confirmed: bool,
}

impl LaneOffer {
    /// The offer, each field of its length; the name of the first that is not.
    pub fn checked(&self) -> Result<CheckedOffer, &'static str> {
        let identity = |octets: &Option<Octets>, name| match octets {
            None => Ok(None),
            Some(octets) => octets.exactly().map(|hash| Some(Identity(hash))).ok_or(name),
        };
        let session = self.payer_session_base64url.exactly().and_then(|key| PublicKey::from_bytes(&key).ok());
        Ok(CheckedOffer {
            destination: self.destination,
            asset: self.asset.as_deref().map(Asset::from_code).transpose().map_err(|_| "asset")?,
            payer_instance: self.payer_instance_base64url.exactly().ok_or("payer_instance_base64url")?,
            payer_session: session.ok_or("payer_session_base64url")?,
            payer_nonce: self.payer_nonce_base64url.exactly().ok_or("payer_nonce_base64url")?,
            secret_hash: self.secret_hash_base64url.exactly().ok_or("secret_hash_base64url")?,
            position: identity(&self.position_base64url, "position_base64url")?,
            terms: identity(&self.terms_base64url, "terms_base64url")?,
            confirmed: self.confirmed,
        })
    }
}

/// A lane id as it stands in paths and headers.
pub fn lane_text(lane: &LaneId) -> String {
    data_encoding::HEXLOWER.encode(&lane.0)
}

/// The lane that a text names.
pub fn lane_of_text(text: &str) -> Option<LaneId> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Identity)
}
