//! The erasure code of Tahoe-LAFS: N blocks of a segment, any k of which give it back.
//!
//! Byte by byte, the k primary blocks are the values of a polynomial over GF(2^8) at the first k of the points
//! 0, 1, 2, 4, 8, …, 2^254, and block n is its value at the n-th point. So one formula, Lagrange's, both makes blocks and
//! restores them. This is the code that zfec computes, with the field's polynomial 0x11d and the generator 2.

mod code;
mod field;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod simd;

pub use code::{ErasureCode, ErasureError};
pub use kernel::Kernel;
