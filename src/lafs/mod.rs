//! What Tahoe-LAFS does to a file, computed: the erasure code, the hash trees, the encryption, the layout of shares.
//!
//! Pure functions over bytes that nobody vouches for. Nothing here fetches, and nothing is believed that does not lead to the
//! cap. Formats: Tahoe-LAFS `docs/specifications/file-encoding.rst`, `URI-extension.rst` and `mutable.rst`.

pub mod cipher;
pub mod directory;
pub mod erasure;
pub mod hash_tree;
pub mod immutable;
pub mod manifest;
pub mod mutable;
pub mod segments;
pub mod ueb;
