//! The one loop that costs time: a block times a factor, added to another.

use super::field::products;

/// How products of whole blocks are computed. Every kind gives the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Byte by byte, two table look-ups each: everywhere.
    Scalar,
    /// 16 bytes at a time, with x86-64's SSSE3.
    Ssse3,
    /// 32 bytes at a time, with x86-64's AVX2.
    Avx2,
}

impl Kernel {
    /// All kinds, the slowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Ssse3, Self::Avx2];

    /// The fastest kind that this processor has.
    pub fn fastest() -> Self {
        Self::ALL.into_iter().rev().find(|kernel| kernel.is_here()).unwrap_or(Self::Scalar)
    }

    /// Whether this processor has it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 => std::arch::is_x86_feature_detected!("ssse3"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ssse3 | Self::Avx2 => false,
        }
    }

    /// Adds `factor` times `source` to `target`, over the shorter of the two. A kind that is not here counts as the scalar one.
    pub(super) fn add_product(self, factor: u8, source: &[u8], target: &mut [u8]) {
        let done = match self {
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 => super::simd::add_product_ssse3(factor, source, target),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::simd::add_product_avx2(factor, source, target),
            _ => 0,
        };
        let products = products(factor);
        for (source, target) in source[done..].iter().zip(&mut target[done..]) {
            *target ^= products.low[usize::from(source & 15)] ^ products.high[usize::from(source >> 4)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lafs::erasure::field::mul;
    use proptest::prelude::*;

    #[test]
    fn the_fastest_kind_is_here() {
        assert!(Kernel::fastest().is_here());
    }

    proptest! {
        #[test]
        fn every_kind_multiplies_as_the_field_does(
            factor in any::<u8>(),
            source in prop::collection::vec(any::<u8>(), 0..200),
            target in prop::collection::vec(any::<u8>(), 0..200),
            skipped in 0..40_usize,
        ) {
            // Not aligned either.
            let source = &source[skipped.min(source.len())..];
            let expected: Vec<u8> = (0..target.len())
                .map(|i| target[i] ^ source.get(i).map_or(0, |byte| mul(factor, *byte)))
                .collect();
            for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_here()) {
                let mut sum = target.clone();
                kernel.add_product(factor, source, &mut sum);
                prop_assert_eq!(&sum, &expected, "{:?}", kernel);
            }
        }
    }
}
