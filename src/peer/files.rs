//! Asking a gateway for a file: its manifest, verified to the cap, and ciphertext, each unit verified by the manifest.

use crate::capability::Capability;
use crate::keys::GridId;
use crate::lafs::manifest::{MAX_UNITS, Manifest};
use crate::peer::client::GatewayClient;
use crate::peer::error::PeerError;
use crate::peer::units::{UnitCheck, Units, units};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// The most octets of an immutable file's manifest: 4,096 leaves, two paths of uncles, 2,000 octets of UEB, and some room.
const MAX_CHK_BYTES: usize = 160 << 10;
/// The most octets of a mutable one's: the same for each of 256 shares, and 4,096 salts.
const MAX_MUTABLE_BYTES: usize = 256 * (140 << 10) + (64 << 10);

impl GatewayClient {
    /// The manifest of units `first` to `first + count` of a file of `grid`, as far as the file has them; at most
    /// [`MAX_UNITS`] come at once. Of the cap, whatever it allows, only the verify cap leaves this machine.
    pub async fn manifest(
        &self,
        grid: &GridId,
        cap: &Capability,
        first: u64,
        count: u64,
    ) -> Result<Manifest, PeerError> {
        let (file, limit) = self.asked_for(cap)?;
        let count = count.clamp(1, MAX_UNITS);
        let path = format!("/v1/grids/{grid}/manifest/{}?first={first}&count={count}", escaped(&file));
        let (_, body) = self.get_whole(&path, &[], limit).await?;
        let asked = first..first.saturating_add(count);
        Manifest::from_bytes(&body, &file, asked)
            .map_err(|source| PeerError::Manifest { place: self.place().nurl.place().clone(), source })
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
    ) -> Result<Units, PeerError> {
        let (file, _) = self.asked_for(cap)?;
        let path = format!("/v1/grids/{grid}/ciphertext/{}", escaped(&file));
        Ok(units(self.clone(), path, manifest, range))
    }

    /// What a gateway is told of a cap: the verify cap of the file, and how long its manifest may be.
    fn asked_for(&self, cap: &Capability) -> Result<(Capability, usize), PeerError> {
        let verify_cap = cap.verify_cap().ok_or(PeerError::Literal)?;
        let limit = if verify_cap.is_mutable() { MAX_MUTABLE_BYTES } else { MAX_CHK_BYTES };
        Ok((Capability::File(verify_cap.file().clone()), limit))
    }
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
