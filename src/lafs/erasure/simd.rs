//! Products of whole blocks with x86-64's byte shuffles: each half of a byte picks its product out of a register.
//!
//! Each function works through as many whole registers as both blocks have and says how many bytes that were; 0 where the
//! processor cannot. What is left is the caller's, byte by byte.

#![expect(
    unsafe_code,
    reason = "vector instructions: loads and stores within chunks of known size, after a check of the processor"
)]

use super::field::products;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_shuffle_epi8, _mm_srli_epi64,
    _mm_storeu_si128, _mm_xor_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_loadu_si256,
    _mm256_set1_epi8, _mm256_shuffle_epi8, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_xor_si256,
};

/// Octets in a register of SSSE3.
const SSSE3_BYTES: usize = 16;
/// Octets in a register of AVX2.
const AVX2_BYTES: usize = 32;

/// Adds `factor` times `source` to `target`, 16 octets at a time.
pub(super) fn add_product_ssse3(factor: u8, source: &[u8], target: &mut [u8]) -> usize {
    if !std::arch::is_x86_feature_detected!("ssse3") {
        return 0;
    }
    // SAFETY: the processor has SSSE3.
    unsafe { ssse3(factor, source.as_chunks().0, target.as_chunks_mut().0) };
    source.len().min(target.len()) / SSSE3_BYTES * SSSE3_BYTES
}

/// Adds `factor` times `source` to `target`, 32 octets at a time.
pub(super) fn add_product_avx2(factor: u8, source: &[u8], target: &mut [u8]) -> usize {
    if !std::arch::is_x86_feature_detected!("avx2") {
        return 0;
    }
    // SAFETY: the processor has AVX2.
    unsafe { avx2(factor, source.as_chunks().0, target.as_chunks_mut().0) };
    source.len().min(target.len()) / AVX2_BYTES * AVX2_BYTES
}

#[target_feature(enable = "ssse3")]
fn ssse3(factor: u8, source: &[[u8; SSSE3_BYTES]], target: &mut [[u8; SSSE3_BYTES]]) {
    let products = products(factor);
    let mask = _mm_set1_epi8(0x0f);
    // SAFETY: 16 octets each; unaligned loads are meant to be.
    let (low, high) =
        unsafe { (_mm_loadu_si128(products.low.as_ptr().cast()), _mm_loadu_si128(products.high.as_ptr().cast())) };
    for (source, target) in source.iter().zip(target) {
        let place = target.as_mut_ptr().cast::<__m128i>();
        // SAFETY: 16 octets each; unaligned loads are meant to be.
        let (bytes, sum) = unsafe { (_mm_loadu_si128(source.as_ptr().cast()), _mm_loadu_si128(place)) };
        let by_low = _mm_shuffle_epi8(low, _mm_and_si128(bytes, mask));
        let by_high = _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi64::<4>(bytes), mask));
        let sum = _mm_xor_si128(sum, _mm_xor_si128(by_low, by_high));
        // SAFETY: 16 octets, borrowed mutably.
        unsafe { _mm_storeu_si128(place, sum) };
    }
}

#[target_feature(enable = "avx2")]
fn avx2(factor: u8, source: &[[u8; AVX2_BYTES]], target: &mut [[u8; AVX2_BYTES]]) {
    let products = products(factor);
    let mask = _mm256_set1_epi8(0x0f);
    // SAFETY: 16 octets each; unaligned loads are meant to be.
    let (low, high) =
        unsafe { (_mm_loadu_si128(products.low.as_ptr().cast()), _mm_loadu_si128(products.high.as_ptr().cast())) };
    let (low, high) = (_mm256_broadcastsi128_si256(low), _mm256_broadcastsi128_si256(high));
    for (source, target) in source.iter().zip(target) {
        let place = target.as_mut_ptr().cast::<__m256i>();
        // SAFETY: 32 octets each; unaligned loads are meant to be.
        let (bytes, sum) = unsafe { (_mm256_loadu_si256(source.as_ptr().cast()), _mm256_loadu_si256(place)) };
        let by_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, mask));
        let by_high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), mask));
        let sum = _mm256_xor_si256(sum, _mm256_xor_si256(by_low, by_high));
        // SAFETY: 32 octets, borrowed mutably.
        unsafe { _mm256_storeu_si256(place, sum) };
    }
}
