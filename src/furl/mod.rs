//! FURLs and NURLs: how Tahoe-LAFS writes down a service, the key it proves itself with, and the secret that opens it.
//!
//! ```text
//! pb://HASH@host:port/SWISSNUM#v=1       NURL: HTTPS, HASH = base64url of SHA-256 of the SubjectPublicKeyInfo
//! pb+tor://HASH@name.onion:port/SWISSNUM#v=1
//! pb://TUBID@hint,hint/NAME              FURL: Foolscap, TUBID = base32 of SHA-1 of the certificate
//! ```
//!
//! The last part is a secret: whoever knows a storage server's may write to it. `Debug` leaves it out, `Display`
//! prints it, and no error repeats it. The exception is our own [`GATEWAY_SWISSNUM`], which authorises nothing.
//! Formats: Tahoe-LAFS `docs/specifications/url.rst`; Foolscap `doc/specifications/pb.rst`.

mod foolscap;
mod nurl;
mod text;

pub use foolscap::{Furl, FurlError, Hint, OtherHint};
pub use nurl::{GATEWAY_SWISSNUM, Nurl, NurlError, Transport};
pub use text::{MAX_FURL_BYTES, TextError};
