//! What a storage server says of itself, as a Tahoe node has kept it: name, addresses, certificates.
//!
//! Formats: Tahoe-LAFS `docs/specifications/url.rst`, `docs/configuration.rst`; the caches of introducers, which the node
//! writes after it has verified the announcements' signatures.

use crate::furl::Nurl;
use crate::grid::blessing::AnnouncedCertificate;
use crate::grid::server_id::{ServerId, ServerIdError};
use crate::grid::yaml::{Yaml, YamlError};
use std::collections::BTreeMap;

/// The addresses of one server that are tried. A server has as many as it has networks.
const MAX_NURLS: usize = 8;
/// The certificates of one server that are looked at: one for each grid that it belongs to.
const MAX_CERTIFICATES: usize = 16;
/// Servers of one grid. The largest known has some hundred.
pub(super) const MAX_SERVERS: usize = 4_096;
/// Characters of a nickname that are kept.
const MAX_NICKNAME_CHARACTERS: usize = 64;

/// One storage server as announced. It bears secrets and has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) id: ServerId,
    pub(super) nickname: String,
    /// Those that could be read, in the order announced.
    pub(super) nurls: Vec<Nurl>,
    pub(super) certificates: Vec<AnnouncedCertificate>,
    /// Which of two announcements of one server is the newer one.
    pub(super) sequence: u64,
}

/// The servers of one file, and how many entries in it are none that can be read.
#[derive(Clone, Default)]
pub(super) struct Announcements {
    pub(super) servers: BTreeMap<ServerId, Announcement>,
    pub(super) unreadable: usize,
}

impl Announcements {
    /// An introducer's cache: a list of `{ann: {…}, key_s: v0-…}`.
    pub(super) fn of_cache(text: &str) -> Result<Self, YamlError> {
        let yaml = Yaml::parse(text)?;
        let mut found = Self::default();
        for entry in yaml.elements() {
            let announcement = entry.at("ann");
            // Introducers may announce other services one day.
            if announcement.and_then(|ann| ann.text_at("service-name")).is_some_and(|name| name != "storage") {
                continue;
            }
            found.add(entry.text_at("key_s").unwrap_or_default(), announcement);
        }
        Ok(found)
    }

    /// The operator's own list: `storage: {v0-…: {ann: {…}}}`.
    pub(super) fn of_static_list(text: &str) -> Result<Self, YamlError> {
        let yaml = Yaml::parse(text)?;
        let mut found = Self::default();
        for (id, entry) in yaml.at("storage").map(Yaml::entries).unwrap_or_default() {
            found.add(id, entry.at("ann"));
        }
        Ok(found)
    }

    fn add(&mut self, id: &str, announcement: Option<&Yaml>) {
        match announcement.map(|ann| Announcement::from_yaml(id, ann)) {
            Some(Ok(announcement)) => {
                let known = self.servers.get(&announcement.id).map(|known| known.sequence);
                let is_newer = known.is_none_or(|known| known <= announcement.sequence);
                if is_newer && (known.is_some() || self.servers.len() < MAX_SERVERS) {
                    self.servers.insert(announcement.id, announcement);
                }
            }
            _ => self.unreadable += 1,
        }
    }
}

impl Announcement {
    fn from_yaml(id: &str, ann: &Yaml) -> Result<Self, ServerIdError> {
        let list = |key| ann.at(key).map(Yaml::elements).unwrap_or_default().iter();
        let nurls = list("anonymous-storage-NURLs").filter_map(|nurl| nurl.as_text()?.parse().ok());
        let certificates = list("grid-manager-certificates").map(|certificate| AnnouncedCertificate {
            certificate: certificate.text_at("certificate").unwrap_or_default().to_owned(),
            signature: certificate.text_at("signature").unwrap_or_default().to_owned(),
        });
        Ok(Self {
            id: id.parse()?,
            nickname: nickname(ann.text_at("nickname").unwrap_or_default()),
            nurls: nurls.take(MAX_NURLS).collect(),
            certificates: certificates.take(MAX_CERTIFICATES).collect(),
            sequence: ann.text_at("seqnum").and_then(|number| number.parse().ok()).unwrap_or(0),
        })
    }
}

/// What a server calls itself, without what would lead a terminal astray.
fn nickname(text: &str) -> String {
    let is_shown = |c: &char| {
        let directs =
            matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !c.is_control() && !directs
    };
    text.chars().filter(is_shown).take(MAX_NICKNAME_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "v0-smndf6xmy7xq5abwczhkgcnjlwkhnxvvsr6ilhyd4yz5dj4fzgoa";
    const NURL: &str =
        "pb://QuJb7c5J-vNlnD5P7DWUUWmyYVkQjhmwgp0BJVTwKoY@127.0.0.1:7110/hbqzvb2sdpnqvuibad52ofau7by5zotp#v=1";

    fn cache(key: &str, more: &str) -> String {
        format!(
            "- ann:\n    anonymous-storage-FURL: pb://pm5tsfpfa4l5cpsxl5xdexn5ufyyczmt@tcp:127.0.0.1:7110/hbqzvb2sdpnqvuibad52ofau7by5zotp\n    \
             anonymous-storage-NURLs:\n    - {NURL}\n    app-versions: {{}}\n    \
             grid-manager-certificates:\n    - certificate: '{{\"expires\":\"2027-11-23T05:45:55.830018+00:00\",\"public_key\":\"pub-v0-x\",\"version\":1}}'\n      \
             signature: abc\n    nickname: storage0\n    seqnum: 3\n    service-name: storage\n    version: 0\n{more}  key_s: {key}\n"
        )
    }

    #[test]
    fn a_cache_is_read_server_by_server() {
        let found = Announcements::of_cache(&cache(KEY, "")).unwrap();
        assert_eq!((found.servers.len(), found.unreadable), (1, 0));
        let server = &found.servers[&KEY.parse().unwrap()];
        assert_eq!((server.nickname.as_str(), server.sequence, server.nurls.len()), ("storage0", 3, 1));
        assert_eq!(server.nurls[0].to_string(), NURL);
        assert!(server.certificates[0].certificate.starts_with("{\"expires\""));
        assert_eq!(server.certificates[0].signature, "abc");
        assert!(Announcements::of_cache("").unwrap().servers.is_empty());
        assert!(Announcements::of_cache("[]\n").unwrap().servers.is_empty());
    }

    #[test]
    fn a_static_list_is_read_server_by_server() {
        let text = format!("storage:\n  {KEY}:\n    ann: {{nickname: s, anonymous-storage-NURLs: [\"{NURL}\"]}}\n");
        let found = Announcements::of_static_list(&text).unwrap();
        assert_eq!(found.servers[&KEY.parse().unwrap()].nurls.len(), 1);
        for empty in ["", "storage:\n", "storage: {}\n", "other: 1\n", "[]\n"] {
            assert!(Announcements::of_static_list(empty).unwrap().servers.is_empty(), "{empty:?}");
        }
    }

    #[test]
    fn of_two_announcements_of_one_server_the_newer_counts() {
        let newer = cache(KEY, "").replace("seqnum: 3", "seqnum: 4").replace("storage0", "renamed");
        for text in [cache(KEY, "") + &newer, newer.clone() + &cache(KEY, "")] {
            let found = Announcements::of_cache(&text).unwrap();
            assert_eq!(found.servers[&KEY.parse().unwrap()].nickname, "renamed");
        }
    }

    #[test]
    fn what_is_no_server_is_counted_and_passed_over() {
        let others = "- 1\n- {ann: {}}\n- {key_s: v0-aa, ann: {}}\n- {key_s: [], ann: []}\n- []\n";
        let found = Announcements::of_cache(&(cache(KEY, "") + others)).unwrap();
        assert_eq!((found.servers.len(), found.unreadable), (1, 5));
        let other_service = cache(KEY, "").replace("service-name: storage", "service-name: other");
        let found = Announcements::of_cache(&other_service).unwrap();
        assert_eq!((found.servers.len(), found.unreadable), (0, 0));
    }

    #[test]
    fn more_than_a_server_has_is_not_kept() {
        let nurls = vec![NURL; 100].join(", ");
        let certificates = vec!["{certificate: c, signature: s}"; 100].join(", ");
        let name = format!("\"\\e[2J\\u202Ename{}\"", "e".repeat(1_000));
        let text = format!(
            "storage: {{{KEY}: {{ann: {{nickname: {name}, anonymous-storage-NURLs: [not a nurl, [], {nurls}], \
             grid-manager-certificates: [{certificates}]}}}}}}"
        );
        let found = Announcements::of_static_list(&text).unwrap();
        let server = &found.servers[&KEY.parse().unwrap()];
        assert_eq!((server.nurls.len(), server.certificates.len()), (MAX_NURLS, MAX_CERTIFICATES));
        assert_eq!(server.nickname.chars().count(), MAX_NICKNAME_CHARACTERS);
        assert!(server.nickname.starts_with("[2Jnamee"), "{}", server.nickname);
    }
}
