//! What fuzzing reaches of this room: its decoders of what others wrote. For `fuzz/` alone; nothing here is a promise.

use crate::furl::Nurl;
use crate::grid::announcement::Announcements;
use crate::grid::answer_fault::AnswerFault;
use crate::grid::blessing::{AnnouncedCertificate, NotBlessed, blessed_until};
use crate::grid::server_id::ServerId;
use crate::grid::share_set;
use crate::grid::yaml::YamlError;
use crate::keys::PublicKey;
use crate::units::UnixSeconds;

/// The form of a list of servers.
#[derive(Debug, Clone, Copy)]
pub enum ListForm {
    /// An introducer's cache.
    Cache,
    /// The operator's own list.
    Static,
}

/// A server of a list. It bears secrets and has no `Debug`.
pub struct FoundServer {
    /// Its key.
    pub id: ServerId,
    /// What it calls itself.
    pub nickname: String,
    /// Its addresses.
    pub nurls: Vec<Nurl>,
    /// Its certificates: text and signature.
    pub certificates: Vec<(String, String)>,
}

/// The servers in `text` by their keys, and how many entries are none.
pub fn servers(text: &str, form: ListForm) -> Result<(Vec<FoundServer>, usize), YamlError> {
    let found = match form {
        ListForm::Cache => Announcements::of_cache(text)?,
        ListForm::Static => Announcements::of_static_list(text)?,
    };
    let servers = found.servers.into_values().map(|server| FoundServer {
        id: server.id,
        nickname: server.nickname,
        nurls: server.nurls,
        certificates: server.certificates.into_iter().map(|one| (one.certificate, one.signature)).collect(),
    });
    Ok((servers.collect(), found.unreadable))
}

/// Until when a certificate takes `server` into a grid of one of `managers`.
pub fn certified_until(
    certificate: &str,
    signature: &str,
    server: &ServerId,
    managers: &[PublicKey],
) -> Result<UnixSeconds, NotBlessed> {
    let announced = AnnouncedCertificate { certificate: certificate.to_owned(), signature: signature.to_owned() };
    blessed_until(&[announced], server, managers)
}

/// The share numbers in a server's answer.
pub fn share_numbers(answer: &[u8]) -> Result<Vec<u16>, AnswerFault> {
    share_set::share_numbers(answer)
}
