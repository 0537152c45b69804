//! Netstrings one after the other, out of bytes that nobody vouches for.

/// The most digits of a length: ten would be gigabytes, which no list of children has.
const MAX_DIGITS: usize = 9;

/// The rest of some bytes. Nothing is allocated by what a length claims.
#[derive(Debug, Clone)]
pub(super) struct Netstrings<'b> {
    rest: &'b [u8],
    /// Where the rest begins in the whole.
    position: usize,
}

impl<'b> Netstrings<'b> {
    /// All of `bytes`, which begin at `position` of the whole.
    pub(super) fn new(bytes: &'b [u8], position: usize) -> Self {
        Self { rest: bytes, position }
    }

    /// Where the next one begins.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Whether all were read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next one's content and where it begins; `None` if it is cut off or its length is not in its one form: decimal, no
    /// leading zero, `:` behind it, and `,` behind the content.
    pub(super) fn next(&mut self) -> Option<(&'b [u8], usize)> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).take(MAX_DIGITS + 1).count();
        let (number, rest) = self.rest.split_at(digits);
        if digits == 0 || digits > MAX_DIGITS || (digits > 1 && number[0] == b'0') {
            return None;
        }
        let length = number.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        let (content, rest) = rest.strip_prefix(b":")?.split_at_checked(length)?;
        let rest = rest.strip_prefix(b",")?;
        let start = self.position + digits + 1;
        self.position = start + length + 1;
        self.rest = rest;
        Some((content, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netstrings_follow_each_other() {
        let mut read = Netstrings::new(b"3:abc,0:,1:,,", 10);
        assert_eq!(read.next(), Some((&b"abc"[..], 12)));
        assert_eq!(read.next(), Some((&b""[..], 18)));
        assert_eq!((read.position(), read.is_empty()), (19, false));
        assert_eq!(read.next(), Some((&b","[..], 21)));
        assert!(read.is_empty());
        assert_eq!(read.next(), None);
    }

    #[test]
    fn what_is_no_netstring_is_none() {
        for bytes in [
            "",
            ":",
            "1",
            "1:",
            "1:a",
            "1:a;",
            "2:a,",
            "01:a,",
            "00:,",
            "-1:a,",
            "+1:a,",
            " 1:a,",
            "1 :a,",
            "9999999999:a,",
        ] {
            assert_eq!(Netstrings::new(bytes.as_bytes(), 0).next(), None, "{bytes}");
        }
        let many = "1".repeat(100_000);
        assert_eq!(Netstrings::new(many.as_bytes(), 0).next(), None);
        assert_eq!(Netstrings::new(b"999999999:a,", 0).next(), None);
    }
}
