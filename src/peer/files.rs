//! Asking a gateway for a file: its manifest, verified to the cap, and ciphertext, each unit verified by the manifest.

use crate::capability::Capability;
use crate::keys::GridId;
use crate::lafs::manifest::{MAX_UNITS, Manifest, UnitCipher};
use crate::peer::client::GatewayClient;
use crate::peer::error::PeerError;
use crate::peer::payment::{Came, Payer, Purchase, lane_header};
use crate::peer::units::{Paying, UnitCheck, Units, units};
use crate::units::Bytes as Octets;
use hyper::header::{HeaderName, HeaderValue};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// The header in which a manifest's request says, as `Range` would, which octets of the ciphertext are asked for next.
pub const THEN_RANGE: HeaderName = HeaderName::from_static("then-range");

/// The header in which a manifest's request says how many octets it may have. A longer one is refused, and how long it is told.
pub const AT_MOST: HeaderName = HeaderName::from_static("at-most");

/// The size of a segment where nobody has chosen another: Tahoe-LAFS's own.
pub const USUAL_UNIT: u64 = 131_072;
/// How many units a reader asks to have the manifest of at once, of what never changes.
pub const PAGE_UNITS: u64 = 1_024;
/// What an immutable file's manifest has beside its hashes at most: the URI extension block, and the form around it.
const CHK_FRAME_BYTES: u64 = 2_100;
const HASH_BYTES: u64 = 32;
/// How often another lane is tried where the one at hand has just ended.
pub(super) const LANES_TRIED: u32 = 2;
/// The most octets of an immutable file's manifest: 4,096 leaves, two paths of uncles, 2,000 octets of UEB, and some room.
const MAX_CHK_BYTES: usize = 160 << 10;
/// The most octets of a mutable one's: the same for each of 256 shares, and 4,096 salts.
const MAX_MUTABLE_BYTES: usize = 256 * (140 << 10) + (64 << 10);

impl GatewayClient {
    /// The manifest of units `first` to `first + count` of a file of `grid`, as far as the file has them; at most
    /// [`MAX_UNITS`] come at once. Of the cap, whatever it allows, only the verify cap leaves this machine. `payer` pays for it.
    pub async fn manifest(
        &self,
        grid: &GridId,
        cap: &Capability,
        first: u64,
        count: u64,
        payer: Option<&dyn Payer>,
    ) -> Result<Manifest, PeerError> {
        self.manifest_before(grid, cap, first..first.saturating_add(count), None, payer).await
    }

    /// The same of these `units`, at most [`MAX_UNITS`]. The gateway is told that the octets `then` of the ciphertext are asked for
    /// next, up to `u64::MAX` for all from there on, and may begin to read them; one that does not know of that takes no notice.
    pub async fn manifest_before(
        &self,
        grid: &GridId,
        cap: &Capability,
        units: Range<u64>,
        then: Option<Range<u64>>,
        payer: Option<&dyn Payer>,
    ) -> Result<Manifest, PeerError> {
        self.manifest_asked(grid, cap, units, then.as_ref().and_then(then_range), payer).await
    }

    /// The manifest of these `units`, at most [`MAX_UNITS`], if it has no more than so many octets; a longer one costs nothing, and
    /// [`PeerError::longer`] says how long it is. A gateway that does not know of that takes no notice.
    pub async fn manifest_within(
        &self,
        grid: &GridId,
        cap: &Capability,
        units: Range<u64>,
        most: Octets,
        payer: Option<&dyn Payer>,
    ) -> Result<Manifest, PeerError> {
        let most = (AT_MOST, HeaderValue::from(most.0));
        self.manifest_asked(grid, cap, units, Some(most), payer).await
    }

    async fn manifest_asked(
        &self,
        grid: &GridId,
        cap: &Capability,
        units: Range<u64>,
        with: Option<(HeaderName, HeaderValue)>,
        payer: Option<&dyn Payer>,
    ) -> Result<Manifest, PeerError> {
        let (first, count) = (units.start, units.end.saturating_sub(units.start));
        let (file, limit) = self.asked_for(cap)?;
        let count = count.clamp(1, MAX_UNITS);
        let path = format!("/v1/grids/{grid}/manifest/{}?first={first}&count={count}", escaped(&file));
        let octets = file.size().map(|size| manifest_estimate(size, Octets(USUAL_UNIT), count));
        let purchase = Purchase { grid: *grid, file: file.clone(), octets };
        let mut again = LANES_TRIED;
        let (body, paid) = loop {
            let paid = match payer {
                Some(payer) => payer.lane(self, purchase.clone()).await?,
                None => None,
            };
            let lane = paid.iter().map(|paid| lane_header(&paid.lane()));
            let headers: Vec<_> = lane.chain(with.clone()).collect();
            match self.get_whole(&path, &headers, limit).await {
                Ok((_, body)) => break (body, paid),
                // The lane has ended meanwhile: another one does.
                Err(error) if error.is_lane_closed() && again > 0 => {
                    again -= 1;
                    if let Some(mut paid) = paid {
                        paid.closed();
                    }
                }
                Err(error) => return Err(error),
            }
        };
        let asked = first..first.saturating_add(count);
        let manifest = Manifest::from_bytes(&body, &file, asked)
            .map_err(|source| PeerError::Manifest { place: self.place().nurl.place().clone(), source })?;
        if let Some(mut paid) = paid {
            paid.verified(Came::Manifest { first }, Octets(body.len() as u64));
        }
        Ok(manifest)
    }

    /// Units `range` of the ciphertext of the version that `manifest` is of, as they come. Only what the manifest covers is given.
    ///
    /// Must be called within a Tokio runtime: a task of its own reads ahead, at most 4 MiB or one unit.
    pub fn units(
        &self,
        grid: &GridId,
        cap: &Capability,
        manifest: Arc<Manifest>,
        range: Range<u64>,
        payer: Option<Arc<dyn Payer>>,
    ) -> Result<Units, PeerError> {
        self.checked_units(grid, cap, manifest, range, payer)
    }

    /// The same, decrypted by the `cipher` of the file.
    ///
    /// Must be called within a Tokio runtime, as [`GatewayClient::units`].
    pub fn plaintext(
        &self,
        grid: &GridId,
        cap: &Capability,
        (manifest, cipher): (Arc<Manifest>, Arc<UnitCipher>),
        range: Range<u64>,
        payer: Option<Arc<dyn Payer>>,
    ) -> Result<Units, PeerError> {
        self.checked_units(grid, cap, Arc::new(Decrypting { manifest, cipher }), range, payer)
    }

    fn checked_units<C: UnitCheck>(
        &self,
        grid: &GridId,
        cap: &Capability,
        check: Arc<C>,
        range: Range<u64>,
        payer: Option<Arc<dyn Payer>>,
    ) -> Result<Units, PeerError> {
        let (file, _) = self.asked_for(cap)?;
        let path = format!("/v1/grids/{grid}/ciphertext/{}", escaped(&file));
        let paying = payer.map(|payer| Paying { payer, purchase: Purchase { grid: *grid, file, octets: None } });
        Ok(units(self.clone(), path, check, range, paying))
    }

    /// What a gateway is told of a cap: the verify cap of the file, and how long its manifest may be.
    fn asked_for(&self, cap: &Capability) -> Result<(Capability, usize), PeerError> {
        let verify_cap = cap.verify_cap().ok_or(PeerError::Literal)?;
        let limit = if verify_cap.is_mutable() { MAX_MUTABLE_BYTES } else { MAX_CHK_BYTES };
        Ok((Capability::File(verify_cap.file().clone()), limit))
    }
}

/// The header that says what is asked for next, where that is anything. A range without an end goes to the end of the file.
fn then_range(octets: &Range<u64>) -> Option<(HeaderName, HeaderValue)> {
    let range = match octets {
        Range { start, end: u64::MAX } => format!("bytes={start}-"),
        Range { start, end } if start < end => format!("bytes={start}-{}", end - 1),
        _ => return None,
    };
    Some((THEN_RANGE, HeaderValue::try_from(range).expect("digits")))
}

/// How many octets the manifest of `count` units of an immutable file of this size has at most, cut into such units.
pub fn manifest_estimate(size: Octets, unit: Octets, count: u64) -> Octets {
    let units = size.0.div_ceil(unit.0.max(1));
    let uncles = 2 * u64::from(u64::BITS - units.leading_zeros());
    Octets(CHK_FRAME_BYTES + HASH_BYTES * (units.min(count) + uncles))
}

/// In how many pages a reader asks for the manifest of all of an immutable file, and how many octets they have at most.
pub fn pages_of_manifest(size: Octets, unit: Octets) -> (u64, Octets) {
    let pages = size.0.div_ceil(unit.0.max(1).saturating_mul(PAGE_UNITS)).max(1);
    (pages, Octets(pages.saturating_mul(manifest_estimate(size, unit, PAGE_UNITS).0)))
}

impl UnitCheck for Manifest {
    fn etag(&self) -> String {
        Self::etag(self)
    }

    fn size(&self) -> u64 {
        self.layout().size.0
    }

    fn unit_range(&self, unit: u64) -> Range<u64> {
        self.layout().unit_range(unit)
    }

    fn is_right(&self, unit: u64, octets: &[u8]) -> bool {
        self.verify_unit(unit, octets).is_ok()
    }
}

/// What verifies units and then decrypts them.
struct Decrypting {
    manifest: Arc<Manifest>,
    cipher: Arc<UnitCipher>,
}

impl UnitCheck for Decrypting {
    fn etag(&self) -> String {
        self.manifest.etag()
    }

    fn size(&self) -> u64 {
        UnitCheck::size(&*self.manifest)
    }

    fn unit_range(&self, unit: u64) -> Range<u64> {
        UnitCheck::unit_range(&*self.manifest, unit)
    }

    fn is_right(&self, unit: u64, octets: &[u8]) -> bool {
        self.manifest.is_right(unit, octets)
    }

    fn open(&self, unit: u64, octets: &mut [u8]) {
        self.cipher.decrypt(unit, octets);
    }
}

/// A verify cap as one part of a path.
fn escaped(cap: &Capability) -> String {
    let text = cap.to_string();
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            // Writing into a `String` cannot fail.
            _ => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}
