//! The children of a directory out of its verified content, until `lafs` has them.

/// A directory.
pub(super) struct Directory {
    /// The children.
    pub(super) children: Vec<Child>,
}

/// A child.
pub(super) struct Child {
    /// Name.
    pub(super) name: String,
    /// Cap.
    pub(super) cap: String,
    /// Metadata.
    pub(super) metadata: String,
}

/// Not a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed")]
pub struct DirectoryError;

fn netstring<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], DirectoryError> {
    let colon = rest.iter().position(|b| *b == b':').ok_or(DirectoryError)?;
    let length: usize =
        std::str::from_utf8(&rest[..colon]).ok().and_then(|text| text.parse().ok()).ok_or(DirectoryError)?;
    let body = &rest[colon + 1..];
    if body.len() <= length || body[length] != b',' {
        return Err(DirectoryError);
    }
    *rest = &body[length + 1..];
    Ok(&body[..length])
}

impl Directory {
    /// Parses.
    pub(super) fn parse(mut content: &[u8]) -> Result<Self, DirectoryError> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| DirectoryError);
        let mut children = Vec::new();
        while !content.is_empty() {
            let mut child = netstring(&mut content)?;
            let name = text(netstring(&mut child)?)?;
            let cap = text(netstring(&mut child)?)?;
            netstring(&mut child)?;
            let metadata = text(netstring(&mut child)?)?;
            children.push(Child { name, cap, metadata });
        }
        Ok(Self { children })
    }
}
