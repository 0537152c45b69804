//! Blocks out of a segment, and the segment out of any k blocks.

use super::field::{inverse, mul, point};
use super::kernel::Kernel;
use crate::capability::ShareCounts;

/// How many octets of each block are worked on at a time: the sum stays in the processor's first cache while all k blocks
/// are added to it.
const STRIP_BYTES: usize = 4096;

/// The erasure code of a file: k and N. Holds no data; one serves any number of segments.
#[derive(Debug, Clone)]
pub struct ErasureCode {
    counts: ShareCounts,
    primaries: Interpolation,
    kernel: Kernel,
}

impl ErasureCode {
    /// The code that makes `counts.total()` blocks, any `counts.needed()` of which give the segment back.
    pub fn new(counts: ShareCounts) -> Self {
        Self::with_kernel(counts, Kernel::fastest())
    }

    /// The same computed by one kind of loop, to measure or compare it.
    pub fn with_kernel(counts: ShareCounts, kernel: Kernel) -> Self {
        // Below N, which is at most 256.
        let primaries = Interpolation::new((0..counts.needed()).map(|number| number as u8).collect());
        Self { counts, primaries, kernel }
    }

    /// How a segment is cut.
    pub fn counts(&self) -> ShareCounts {
        self.counts
    }

    /// The size of each block of a segment of `segment` octets: a k-th of it, rounded up.
    pub fn block_len(&self, segment: usize) -> usize {
        segment.div_ceil(self.needed())
    }

    /// Writes block `number` of `segment`. A segment that is no multiple of k ends in zeros that need not be given.
    ///
    /// `block` is as long as [`ErasureCode::block_len`] says.
    pub fn encode(&self, segment: &[u8], number: u16, block: &mut [u8]) -> Result<(), ErasureError> {
        let number = self.number(number)?;
        let expected = self.block_len(segment.len());
        if block.len() != expected {
            return Err(ErasureError::Length { number: number.into(), expected, found: block.len() });
        }
        if block.is_empty() {
            return Ok(());
        }
        // The last ones may be short or, where k is large and the segment small, beyond its end.
        let primaries: Vec<&[u8]> = (0..self.needed()).map(|i| primary(segment, i, expected)).collect();
        if let Some(given) = primaries.get(usize::from(number)) {
            let (copied, padding) = block.split_at_mut(given.len());
            copied.copy_from_slice(given);
            padding.fill(0);
            return Ok(());
        }
        let factors = self.primaries.factors(number);
        for (strip, out) in block.chunks_mut(STRIP_BYTES).enumerate() {
            self.add_up(strip * STRIP_BYTES, &factors, &primaries, out);
        }
        Ok(())
    }

    /// Restores `segment` from k blocks with different numbers, in any order.
    ///
    /// The blocks are as long as [`ErasureCode::block_len`] says of `segment`, which need not be a multiple of k. Whether
    /// they are the right ones only a hash can tell.
    pub fn decode(&self, blocks: &[(u16, &[u8])], segment: &mut [u8]) -> Result<(), ErasureError> {
        let needed = self.needed();
        if blocks.len() != needed {
            return Err(ErasureError::Count { needed, found: blocks.len() });
        }
        let block_len = self.block_len(segment.len());
        let mut seen: [Option<&[u8]>; ShareCounts::MAX_TOTAL as usize] = [None; _];
        let mut numbers = Vec::with_capacity(needed);
        for (number, block) in blocks {
            let place = self.number(*number)?;
            if block.len() != block_len {
                return Err(ErasureError::Length { number: *number, expected: block_len, found: block.len() });
            }
            if seen[usize::from(place)].replace(block).is_some() {
                return Err(ErasureError::Twice { number: *number });
            }
            numbers.push(place);
        }
        if segment.is_empty() {
            return Ok(());
        }
        let given: Vec<&[u8]> = blocks.iter().map(|(_, block)| *block).collect();
        // What the missing ones are computed from, once the first of them is met.
        let mut interpolation = None;
        for (number, out) in segment.chunks_mut(block_len).enumerate() {
            if let Some(block) = seen[number] {
                // The last one of the segment may be without its padding.
                out.copy_from_slice(&block[..out.len()]);
                continue;
            }
            let interpolation = interpolation.get_or_insert_with(|| Interpolation::new(numbers.clone()));
            // A missing primary: below k, so below 256.
            let factors = interpolation.factors(number as u8);
            for (strip, out) in out.chunks_mut(STRIP_BYTES).enumerate() {
                self.add_up(strip * STRIP_BYTES, &factors, &given, out);
            }
        }
        Ok(())
    }

    /// Sets `out` to the sum of `blocks` times `factors`, from octet `offset` of each on. A block that ends before is followed
    /// by zeros.
    fn add_up(&self, offset: usize, factors: &[u8], blocks: &[&[u8]], out: &mut [u8]) {
        out.fill(0);
        for (factor, block) in factors.iter().zip(blocks) {
            self.kernel.add_product(*factor, block.get(offset..).unwrap_or_default(), out);
        }
    }

    fn needed(&self) -> usize {
        self.counts.needed().into()
    }

    /// `number` if it is one of the N; it then fits in an octet.
    fn number(&self, number: u16) -> Result<u8, ErasureError> {
        let total = self.counts.total();
        u8::try_from(number).ok().filter(|_| number < total).ok_or(ErasureError::Number { number, total })
    }
}

/// Block `number` of the k that a segment is split into, without the zeros after the segment's end.
fn primary(segment: &[u8], number: usize, block_len: usize) -> &[u8] {
    let start = (number * block_len).min(segment.len());
    let end = (start + block_len).min(segment.len());
    &segment[start..end]
}

/// Lagrange's formula over the points of some blocks: any other value as a sum of theirs.
#[derive(Debug, Clone)]
struct Interpolation {
    points: Vec<u8>,
    /// For each point, 1 / the product of its distances to all others.
    weights: Vec<u8>,
}

impl Interpolation {
    /// Over the blocks with these numbers, all different.
    fn new(numbers: Vec<u8>) -> Self {
        let points: Vec<u8> = numbers.into_iter().map(point).collect();
        let weight = |own: &u8| {
            let distances = points.iter().filter(|other| *other != own).map(|other| own ^ other);
            inverse(distances.fold(1, mul))
        };
        let weights = points.iter().map(weight).collect();
        Self { points, weights }
    }

    /// By what each of those blocks is multiplied so that the sum is block `number`, which is none of them.
    fn factors(&self, number: u8) -> Vec<u8> {
        let target = point(number);
        let product = self.points.iter().map(|point| target ^ point).fold(1, mul);
        let pairs = self.points.iter().zip(&self.weights);
        pairs.map(|(point, weight)| mul(mul(product, *weight), inverse(target ^ point))).collect()
    }
}

/// Why blocks are not made or a segment is not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ErasureError {
    /// Fewer or more blocks than are needed.
    #[error("{found} blocks where {needed} restore the segment")]
    Count {
        /// k.
        needed: usize,
        /// How many were given.
        found: usize,
    },
    /// A number that no block of this code has.
    #[error("no block {number} among {total}")]
    Number {
        /// The number given.
        number: u16,
        /// N.
        total: u16,
    },
    /// The same block more than once.
    #[error("block {number} was given twice")]
    Twice {
        /// Its number.
        number: u16,
    },
    /// A block of another size than the segment's.
    #[error("block {number} has {found} bytes where the segment's have {expected}")]
    Length {
        /// Its number.
        number: u16,
        /// The size that the segment asks for, in bytes.
        expected: usize,
        /// The size of what was given, in bytes.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(needed: u16, total: u16) -> ErasureCode {
        ErasureCode::new(ShareCounts::new(needed, total).expect("counts"))
    }

    fn block(code: &ErasureCode, segment: &[u8], number: u16) -> Vec<u8> {
        let mut block = vec![0xaa; code.block_len(segment.len())];
        code.encode(segment, number, &mut block).expect("a block");
        block
    }

    #[test]
    fn the_factors_are_those_of_zfec() {
        assert_eq!(code(2, 3).primaries.factors(2), [3, 2]);
        let code = code(3, 10);
        let rows: Vec<Vec<u8>> = (3..10).map(|number| code.primaries.factors(number)).collect();
        let expected =
            [[15, 8, 6], [45, 48, 28], [153, 224, 120], [11, 231, 237], [137, 59, 179], [70, 241, 182], [186, 217, 98]];
        assert_eq!(rows, expected);
    }

    #[test]
    fn primary_blocks_are_the_segment_itself() {
        let code = code(3, 10);
        assert_eq!([0, 1, 2].map(|number| block(&code, b"abcdefgh", number)), [&b"abc"[..], b"def", b"gh\0"]);
    }

    #[test]
    fn a_segment_of_few_octets_has_blocks_beyond_its_end() {
        let code = code(100, 256);
        let segment: Vec<u8> = (0..101).collect();
        let blocks: Vec<(u16, Vec<u8>)> = (156..256).map(|number| (number, block(&code, &segment, number))).collect();
        let given: Vec<(u16, &[u8])> = blocks.iter().map(|(number, block)| (*number, &block[..])).collect();
        let mut restored = vec![0; segment.len()];
        code.decode(&given, &mut restored).expect("a segment");
        assert_eq!(restored, segment);
        assert_eq!(block(&code, &segment, 99), [0, 0]);
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        let code = code(2, 3);
        let decode = |blocks: &[(u16, &[u8])]| code.decode(blocks, &mut [0; 4]);
        assert_eq!(decode(&[(0, b"ab")]), Err(ErasureError::Count { needed: 2, found: 1 }));
        assert_eq!(decode(&[(0, b"ab"), (1, b"ab"), (2, b"ab")]), Err(ErasureError::Count { needed: 2, found: 3 }));
        assert_eq!(decode(&[(0, b"ab"), (3, b"ab")]), Err(ErasureError::Number { number: 3, total: 3 }));
        assert_eq!(decode(&[(0, b"ab"), (256, b"ab")]), Err(ErasureError::Number { number: 256, total: 3 }));
        assert_eq!(decode(&[(2, b"ab"), (2, b"ab")]), Err(ErasureError::Twice { number: 2 }));
        assert_eq!(decode(&[(2, b"ab"), (1, b"a")]), Err(ErasureError::Length { number: 1, expected: 2, found: 1 }));
        let error = code.encode(b"abcd", 1, &mut [0; 3]);
        assert_eq!(error, Err(ErasureError::Length { number: 1, expected: 2, found: 3 }));
        assert_eq!(code.encode(b"abcd", 3, &mut [0; 2]), Err(ErasureError::Number { number: 3, total: 3 }));
    }

    #[test]
    fn nothing_is_restored_from_nothing() {
        let code = code(2, 3);
        assert_eq!(code.decode(&[(2, b""), (1, b"")], &mut []), Ok(()));
        assert_eq!(code.encode(b"", 2, &mut []), Ok(()));
    }

    prop_compose! {
        fn any_code()(total in 1..=256_u16)(needed in 1..=total.min(40), total in Just(total)) -> ShareCounts {
            ShareCounts::new(needed, total).expect("counts")
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_k_blocks_in_any_order_give_the_segment_back(
            counts in any_code(),
            segment in prop_oneof![
                prop::collection::vec(any::<u8>(), 1..300),
                prop::collection::vec(any::<u8>(), STRIP_BYTES..3 * STRIP_BYTES),
            ],
            order in any::<u64>(),
        ) {
            let code = ErasureCode::new(counts);
            let mut numbers: Vec<u16> = (0..counts.total()).collect();
            // A shuffle by a seed: proptest's own is of values, and the number of values is not known before.
            numbers.sort_by_key(|number| order.rotate_left(u32::from(*number)).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ u64::from(*number)));
            numbers.truncate(counts.needed().into());
            let blocks: Vec<(u16, Vec<u8>)> = numbers.iter().map(|number| (*number, block(&code, &segment, *number))).collect();
            let given: Vec<(u16, &[u8])> = blocks.iter().map(|(number, block)| (*number, &block[..])).collect();
            for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_here()) {
                let mut restored = vec![0xaa; segment.len()];
                ErasureCode::with_kernel(counts, kernel).decode(&given, &mut restored).expect("a segment");
                prop_assert_eq!(&restored, &segment, "{:?}", kernel);
            }
        }
    }
}
