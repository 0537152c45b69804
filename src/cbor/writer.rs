//! Writing maps in deterministic form.

use minicbor::Encoder;

/// Errors of an encoder that writes to memory.
type Never = std::convert::Infallible;

/// A map in the making: entries are given in ascending order of their keys, absent ones simply left out.
#[derive(Debug, Default)]
pub struct MapWriter {
    entries: Vec<u8>,
    count: u64,
    last: Option<u64>,
}

impl MapWriter {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry whose value `write` writes.
    ///
    /// # Panics
    /// If `key` is not greater than the one before it, which is a mistake in the calling code.
    pub fn entry(
        &mut self,
        key: u64,
        write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<Never>>,
    ) -> &mut Self {
        assert!(self.last.is_none_or(|last| last < key), "map keys ascend");
        self.last = Some(key);
        self.count += 1;
        let mut encoder = Encoder::new(&mut self.entries);
        encoder.u64(key).and_then(write).expect("memory takes every byte");
        self
    }

    /// Adds an unsigned integer.
    pub fn uint(&mut self, key: u64, value: u64) -> &mut Self {
        self.entry(key, |encoder| encoder.u64(value)?.ok())
    }

    /// Adds a truth value.
    pub fn bool(&mut self, key: u64, value: bool) -> &mut Self {
        self.entry(key, |encoder| encoder.bool(value)?.ok())
    }

    /// Adds a byte string.
    pub fn bytes(&mut self, key: u64, value: &[u8]) -> &mut Self {
        self.entry(key, |encoder| encoder.bytes(value)?.ok())
    }

    /// Adds a text string.
    pub fn text(&mut self, key: u64, value: &str) -> &mut Self {
        self.entry(key, |encoder| encoder.str(value)?.ok())
    }

    /// Adds an array of items that are encoded already.
    pub fn array(&mut self, key: u64, items: &[Vec<u8>]) -> &mut Self {
        self.entry(key, |encoder| {
            encoder.array(items.len() as u64)?;
            for item in items {
                encoder.writer_mut().extend_from_slice(item);
            }
            Ok(())
        })
    }

    /// Adds an item that is encoded already.
    pub fn encoded(&mut self, key: u64, item: &[u8]) -> &mut Self {
        self.entry(key, |encoder| {
            encoder.writer_mut().extend_from_slice(item);
            Ok(())
        })
    }

    /// The map.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() + 3);
        Encoder::new(&mut out).map(self.count).expect("memory takes every byte");
        out.extend_from_slice(&self.entries);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Reader;

    #[test]
    fn what_is_written_is_what_the_reader_accepts() {
        let mut map = MapWriter::new();
        map.uint(0, u64::MAX).bool(1, true).bytes(2, b"b").text(300, "t").array(301, &[vec![0], vec![0x40]]);
        let bytes = map.encoded(302, &MapWriter::new().finish()).finish();
        let mut reader = Reader::new(&bytes);
        reader.skip().expect("canonical");
        reader.end().expect("whole");
    }

    #[test]
    #[should_panic(expected = "map keys ascend")]
    fn keys_must_ascend() {
        MapWriter::new().uint(1, 0).uint(1, 0);
    }
}
