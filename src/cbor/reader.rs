//! The strict reader.
//!
//! Every byte is walked once; a second encoding of a value, an indefinite length, a tag, a float, a depth beyond
//! [`MAX_DEPTH`] or a byte too many is refused with its offset. Nothing is allocated by what a length claims: strings are
//! borrowed from the input.

/// How deep maps and arrays nest: the outermost is 1.
pub const MAX_DEPTH: usize = 4;

/// The first map key that who does not know it may ignore; below it an unknown key stops a reader.
pub const FIRST_IGNORABLE_KEY: u64 = 64;

/// Why bytes are not the deterministic CBOR that was expected, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {fault}")]
pub struct CborError {
    /// Counted from 0 at the beginning of the CBOR item given.
    pub offset: usize,
    /// What is wrong there.
    pub fault: CborFault,
}

/// The ways in which CBOR is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborFault {
    /// The input ends inside an item.
    #[error("cut off")]
    CutOff,
    /// Bytes after the end of the item.
    #[error("{0} bytes after the end")]
    Trailing(usize),
    /// Another type than the one expected here.
    #[error("{0} expected")]
    Expected(&'static str),
    /// An integer or a length written with more bytes than it needs.
    #[error("not in its shortest form")]
    NotShortest,
    /// An indefinite length.
    #[error("indefinite length")]
    Indefinite,
    /// A map key that is equal to or smaller than the one before it.
    #[error("map key {0} out of order or twice")]
    KeyOrder(u64),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A type that is not used: negative integer, float, tag, null, another simple value.
    #[error("a type that is not allowed here")]
    Type,
    /// A text string that is not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// More elements or octets than the field may have.
    #[error("{found} where at most {limit} are allowed")]
    TooMany {
        /// The field's limit.
        limit: usize,
        /// What was found.
        found: u64,
    },
    /// Fewer elements or octets than the field must have.
    #[error("{found} where at least {limit} are required")]
    TooFew {
        /// The field's minimum.
        limit: usize,
        /// What was found.
        found: usize,
    },
}

/// A place in deterministic CBOR. Cheap to copy: a copy looks ahead.
#[derive(Debug, Clone)]
pub struct Reader<'b> {
    input: &'b [u8],
    position: usize,
    depth: usize,
}

impl<'b> Reader<'b> {
    /// Reads `bytes` from the beginning.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { input: bytes, position: 0, depth: 0 }
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> usize {
        self.position
    }

    /// An error at the next byte.
    pub fn fault(&self, fault: CborFault) -> CborError {
        CborError { offset: self.offset(), fault }
    }

    /// What has been read since `start`, an offset taken earlier.
    pub fn since(&self, start: usize) -> &'b [u8] {
        &self.input[start..self.offset()]
    }

    /// Ends the reading: refuses what is left over.
    pub fn end(self) -> Result<(), CborError> {
        match self.input.len() - self.offset() {
            0 => Ok(()),
            rest => Err(self.fault(CborFault::Trailing(rest))),
        }
    }

    /// The type of the next item, judged from its first byte.
    pub fn peek(&self) -> Result<Kind, CborError> {
        let byte = *self.input.get(self.offset()).ok_or_else(|| self.fault(CborFault::CutOff))?;
        Ok(match byte >> 5 {
            0 => Kind::Uint,
            2 => Kind::Bytes,
            3 => Kind::Text,
            4 => Kind::Array,
            5 => Kind::Map,
            _ if byte == 0xf4 || byte == 0xf5 => Kind::Bool,
            _ => return Err(self.fault(CborFault::Type)),
        })
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(Kind::Uint)?;
        self.argument()
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        self.expect(Kind::Bool)?;
        self.position += 1;
        Ok(self.input[self.position - 1] == 0xf5)
    }

    /// A byte string of at most `limit` octets.
    pub fn bytes(&mut self, limit: usize) -> Result<&'b [u8], CborError> {
        self.expect(Kind::Bytes)?;
        self.string(limit)
    }

    /// A byte string of exactly `N` octets.
    pub fn array_of<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let start = self.offset();
        let bytes = self.bytes(N)?;
        bytes
            .try_into()
            .map_err(|_| CborError { offset: start, fault: CborFault::TooFew { limit: N, found: bytes.len() } })
    }

    /// A text string of at most `limit` octets of UTF-8.
    pub fn text(&mut self, limit: usize) -> Result<&'b str, CborError> {
        self.expect(Kind::Text)?;
        let start = self.offset();
        let bytes = self.string(limit)?;
        std::str::from_utf8(bytes).map_err(|_| CborError { offset: start, fault: CborFault::Utf8 })
    }

    /// An array of 1 to `limit` elements, each read by `element`.
    pub fn array<T, E: From<CborError>>(
        &mut self,
        limit: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        self.expect(Kind::Array)?;
        let start = self.offset();
        let count = self.argument()?;
        if count > limit as u64 {
            return Err(CborError { offset: start, fault: CborFault::TooMany { limit, found: count } }.into());
        }
        if count == 0 {
            return Err(CborError { offset: start, fault: CborFault::TooFew { limit: 1, found: 0 } }.into());
        }
        self.descend()?;
        let elements = (0..count).map(|_| element(self)).collect();
        self.depth -= 1;
        elements
    }

    /// A map: `entry` is called with each key in turn and reads its value.
    pub fn map<E: From<CborError>>(&mut self, mut entry: impl FnMut(u64, &mut Self) -> Result<(), E>) -> Result<(), E> {
        self.expect(Kind::Map)?;
        let entries = self.argument()?;
        self.descend()?;
        let mut last = None;
        for _ in 0..entries {
            let start = self.offset();
            let key = self.uint()?;
            if last.is_some_and(|last| key <= last) {
                return Err(CborError { offset: start, fault: CborFault::KeyOrder(key) }.into());
            }
            last = Some(key);
            entry(key, self)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Passes over one item of any allowed type, checking its form all the same.
    pub fn skip(&mut self) -> Result<(), CborError> {
        match self.peek()? {
            Kind::Uint => self.uint().map(drop),
            Kind::Bool => self.bool().map(drop),
            Kind::Bytes => self.bytes(usize::MAX).map(drop),
            Kind::Text => self.text(usize::MAX).map(drop),
            // An empty array may be meant by a word that we do not know yet.
            Kind::Array => {
                let count = self.argument()?;
                self.descend()?;
                for _ in 0..count {
                    self.skip()?;
                }
                self.depth -= 1;
                Ok(())
            }
            Kind::Map => self.map(|_, reader| reader.skip()),
        }
    }

    fn descend(&mut self) -> Result<(), CborError> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(CborFault::TooDeep));
        }
        self.depth += 1;
        Ok(())
    }

    fn expect(&self, kind: Kind) -> Result<(), CborError> {
        if self.peek()? == kind { Ok(()) } else { Err(self.fault(CborFault::Expected(kind.name()))) }
    }

    /// The number in an item's head, whatever its major type, in its shortest form.
    fn argument(&mut self) -> Result<u64, CborError> {
        let start = self.offset();
        let at = |fault| CborError { offset: start, fault };
        let input = self.input;
        let low = input.get(start).ok_or(at(CborFault::CutOff))? & 0x1f;
        let (length, smallest) = match low {
            0..=23 => (0, 0),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Err(at(CborFault::Indefinite)),
            _ => return Err(at(CborFault::Type)),
        };
        let tail = input.get(start + 1..start + 1 + length).ok_or(at(CborFault::CutOff))?;
        let value = match length {
            0 => u64::from(low),
            _ => tail.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        if value < smallest {
            return Err(at(CborFault::NotShortest));
        }
        self.position = start + 1 + length;
        Ok(value)
    }

    fn string(&mut self, limit: usize) -> Result<&'b [u8], CborError> {
        let start = self.offset();
        let claimed = self.argument()?;
        let at = |fault| CborError { offset: start, fault };
        let length = usize::try_from(claimed).ok().filter(|length| *length <= limit);
        let length = length.ok_or(at(CborFault::TooMany { limit, found: claimed }))?;
        let from = self.offset();
        let to = from.checked_add(length).ok_or(at(CborFault::CutOff))?;
        let bytes = self.input.get(from..to).ok_or(at(CborFault::CutOff))?;
        self.position = to;
        Ok(bytes)
    }
}

/// The types that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Major type 0.
    Uint,
    /// Major type 2.
    Bytes,
    /// Major type 3.
    Text,
    /// Major type 4.
    Array,
    /// Major type 5.
    Map,
    /// Simple values 20 and 21.
    Bool,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Uint => "an unsigned integer",
            Self::Bytes => "a byte string",
            Self::Text => "a text string",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Bool => "true or false",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skipped(bytes: &[u8]) -> Result<(), CborError> {
        let mut reader = Reader::new(bytes);
        reader.skip()?;
        reader.end()
    }

    fn fault(bytes: &[u8]) -> CborFault {
        skipped(bytes).expect_err("refused").fault
    }

    #[test]
    fn every_allowed_type_is_read() {
        // {0: 23, 1: h'aa', 2: "x", 64: [true, {}]}
        assert_eq!(skipped(&[0xa4, 0, 0x17, 1, 0x41, 0xaa, 2, 0x61, b'x', 0x18, 64, 0x82, 0xf5, 0xa0]), Ok(()));
    }

    #[test]
    fn each_second_encoding_is_refused_with_its_offset() {
        assert_eq!(fault(&[0x18, 23]), CborFault::NotShortest);
        assert_eq!(fault(&[0x19, 0, 255]), CborFault::NotShortest);
        assert_eq!(fault(&[0x1a, 0, 0, 255, 255]), CborFault::NotShortest);
        assert_eq!(fault(&[0x1b, 0, 0, 0, 0, 255, 255, 255, 255]), CborFault::NotShortest);
        assert_eq!(fault(&[0x58, 1, 0]), CborFault::NotShortest);
        assert_eq!(fault(&[0x5f, 0x41, 0, 0xff]), CborFault::Indefinite);
        assert_eq!(skipped(&[0xa2, 1, 0, 0, 0]), Err(CborError { offset: 3, fault: CborFault::KeyOrder(0) }));
        assert_eq!(fault(&[0xa2, 1, 0, 1, 0]), CborFault::KeyOrder(1));
    }

    #[test]
    fn types_outside_the_subset_are_refused() {
        for bytes in
            [&[0x20][..], &[0xf6], &[0xf7], &[0xc1, 0], &[0xf9, 0, 0], &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], &[0x1c]]
        {
            assert_eq!(fault(bytes), CborFault::Type, "{bytes:x?}");
        }
        assert_eq!(fault(&[0xa1, 0x61, b'k', 0]), CborFault::Expected("an unsigned integer"));
    }

    #[test]
    fn depth_ends_at_four() {
        assert_eq!(skipped(&[0x81, 0x81, 0x81, 0x81, 0]), Ok(()));
        assert_eq!(skipped(&[0x81, 0x81, 0x81, 0x81, 0x80]), Err(CborError { offset: 5, fault: CborFault::TooDeep }));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        assert_eq!(fault(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), CborFault::CutOff);
        assert_eq!(fault(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), CborFault::CutOff);
        assert_eq!(fault(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), CborFault::CutOff);
    }

    #[test]
    fn what_is_left_over_is_counted() {
        assert_eq!(skipped(&[0, 0, 0]), Err(CborError { offset: 1, fault: CborFault::Trailing(2) }));
        assert_eq!(skipped(&[]), Err(CborError { offset: 0, fault: CborFault::CutOff }));
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = skipped(&bytes);
        }

        /// minicbor is the second opinion: whatever we accept, it reads, and writes again as the same bytes.
        #[test]
        fn an_accepted_integer_is_the_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 1..10)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.uint() {
                prop_assert_eq!(minicbor::to_vec(value).expect("writes"), reader.since(0));
            }
        }
    }
}
