//! Whether a Grid Manager has taken a storage server into its grid: the certificates that the server announces, checked.
//!
//! Format: Tahoe-LAFS `docs/managed-grid.rst`. The signed octets are those of the certificate's own text; it is never written
//! anew before it is verified. A certificate binds a server's key until a day, and no address.

use crate::base32;
use crate::grid::server_id::ServerId;
use crate::keys::PublicKey;
use crate::units::UnixSeconds;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The one version there is.
const VERSION: u64 = 1;
/// A certificate's text has some 140 octets.
const MAX_TEXT_BYTES: usize = 1_000;

/// A certificate as announced: nothing about it is known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnnouncedCertificate {
    /// The JSON text that is signed.
    pub(super) certificate: String,
    /// 64 octets of Ed25519 in base32.
    pub(super) signature: String,
}

/// Why no certificate of a server takes it into the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotBlessed {
    /// It announces none.
    #[error("it announces no certificate of a grid manager")]
    NoCertificate,
    /// None that could be read.
    #[error("its certificate is not in Tahoe's format")]
    Malformed,
    /// Signed by none of the grid managers that are trusted here.
    #[error("its certificate is signed by no grid manager that is trusted here")]
    OtherManager,
    /// Signed, and about another server's key.
    #[error("its certificate is another server's")]
    OtherServer,
    /// It was good until then, in Unix seconds.
    #[error("its certificate has expired at {}", crate::grid::blessing::day(*.0))]
    Expired(UnixSeconds),
}

#[derive(serde::Deserialize)]
struct CertificateJson {
    expires: String,
    public_key: String,
    version: u64,
}

/// Until when the best of `certificates` takes `server` into a grid of one of `managers`.
///
/// The day may be over already: the caller compares it with the clock each time.
pub(super) fn blessed_until(
    certificates: &[AnnouncedCertificate],
    server: &ServerId,
    managers: &[PublicKey],
) -> Result<UnixSeconds, NotBlessed> {
    let mut nearest = NotBlessed::NoCertificate;
    let mut best = None;
    for certificate in certificates {
        match read(certificate, server, managers) {
            Ok(until) => best = best.max(Some(until)),
            // The one that failed last in the order of the checks tells most.
            Err(reason) => nearest = nearest.max(reason),
        }
    }
    best.ok_or(nearest)
}

fn read(
    announced: &AnnouncedCertificate,
    server: &ServerId,
    managers: &[PublicKey],
) -> Result<UnixSeconds, NotBlessed> {
    let text = &announced.certificate;
    if text.len() > MAX_TEXT_BYTES {
        return Err(NotBlessed::Malformed);
    }
    let signature: [u8; 64] = base32::decode_array(&announced.signature).map_err(|_| NotBlessed::Malformed)?;
    if !managers.iter().any(|manager| manager.verify(text.as_bytes(), &signature).is_ok()) {
        return Err(NotBlessed::OtherManager);
    }
    let certificate: CertificateJson = serde_json::from_str(text).map_err(|_| NotBlessed::Malformed)?;
    if certificate.version != VERSION {
        return Err(NotBlessed::Malformed);
    }
    if certificate.public_key.strip_prefix("pub-") != Some(server.to_string().as_str()) {
        return Err(NotBlessed::OtherServer);
    }
    instant(&certificate.expires).ok_or(NotBlessed::Malformed)
}

/// An ISO 8601 instant as Python writes it: with an offset, or without one and then in UTC. Before 1970 it reads 0.
fn instant(text: &str) -> Option<UnixSeconds> {
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    Some(UnixSeconds(u64::try_from(timestamp.as_second()).unwrap_or(0)))
}

/// A day and time for people.
fn day(at: UnixSeconds) -> String {
    let timestamp = i64::try_from(at.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| at.0.to_string(), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::fixtures::certificate;
    use crate::keys::SecretKey;

    fn manager() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn server() -> ServerId {
        ServerId::new([7; 32])
    }

    fn judged(certificates: &[AnnouncedCertificate]) -> Result<UnixSeconds, NotBlessed> {
        blessed_until(certificates, &server(), &[SecretKey::from_seed(&[2; 32]).public(), manager().public()])
    }

    #[test]
    fn a_certificate_of_a_trusted_manager_counts_until_its_day() {
        let made = |day: &str| certificate(&manager(), &server(), day);
        assert_eq!(judged(&[made("2027-11-23T05:45:55.830018+00:00")]), Ok(UnixSeconds(1_826_948_755)));
        assert_eq!(judged(&[made("2027-11-23T06:45:55+01:00")]), Ok(UnixSeconds(1_826_948_755)));
        assert_eq!(judged(&[made("2027-11-23T05:45:55")]), Ok(UnixSeconds(1_826_948_755)));
        assert_eq!(judged(&[made("1969-01-01T00:00:00+00:00")]), Ok(UnixSeconds(0)));
        // The longest of several.
        let several = [made("2026-01-01T00:00:00+00:00"), made("2027-11-23T05:45:55"), made("never")];
        assert_eq!(judged(&several), Ok(UnixSeconds(1_826_948_755)));
    }

    #[test]
    fn whatever_else_is_announced_counts_for_nothing_and_says_why() {
        const DAY: &str = "2027-11-23T05:45:55+00:00";
        let good = certificate(&manager(), &server(), DAY);
        assert_eq!(judged(&[]), Err(NotBlessed::NoCertificate));
        let stranger = certificate(&SecretKey::from_seed(&[3; 32]), &server(), DAY);
        assert_eq!(judged(std::slice::from_ref(&stranger)), Err(NotBlessed::OtherManager));
        let altered = AnnouncedCertificate { certificate: good.certificate.replace("2027", "2037"), ..good.clone() };
        assert_eq!(judged(&[altered]), Err(NotBlessed::OtherManager));
        let others = certificate(&manager(), &ServerId::new([8; 32]), DAY);
        assert_eq!(judged(&[stranger, others]), Err(NotBlessed::OtherServer));
        let cut = AnnouncedCertificate { signature: good.signature[1..].to_owned(), ..good.clone() };
        assert_eq!(judged(&[cut]), Err(NotBlessed::Malformed));
        assert_eq!(judged(&[certificate(&manager(), &server(), "soon")]), Err(NotBlessed::Malformed));
        let signed = |text: String| {
            let signature = base32::encode(&manager().sign(text.as_bytes()));
            judged(&[AnnouncedCertificate { certificate: text, signature }])
        };
        assert_eq!(signed(good.certificate.replace("\"version\":1", "\"version\":2")), Err(NotBlessed::Malformed));
        assert_eq!(signed("{}".into()), Err(NotBlessed::Malformed));
        assert_eq!(signed(format!("{}{}", good.certificate, " ".repeat(1_000))), Err(NotBlessed::Malformed));
        assert_eq!(signed(good.certificate.clone()), judged(&[good]));
    }

    #[test]
    fn an_expired_one_is_named_with_its_day() {
        let text = NotBlessed::Expired(UnixSeconds(1_826_948_755)).to_string();
        assert_eq!(text, "its certificate has expired at 2027-11-23T05:45:55Z");
    }
}
