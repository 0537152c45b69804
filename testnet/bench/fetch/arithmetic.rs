//! What reading costs by itself, on one core: the erasure code, the hashes, and what TLS does to each octet.

use super::MIB;
use crate::bench::AnyError;
use crate::bench::process::Process;
use crate::bench::table::{Budget, Row, Table};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use lafs_clearinghouse::capability::ShareCounts;
use lafs_clearinghouse::lafs::erasure::{ErasureCode, Kernel};
use sha2::{Digest, Sha256};
use std::hint::black_box;

/// A segment as Tahoe-LAFS 1.20 makes them by default.
const SEGMENT: usize = 1 << 20;
/// How many octets each is measured over, at least.
const OCTETS: usize = 512 << 20;
/// A record of TLS.
const TLS_RECORD: usize = 16 << 10;
const BUDGET: f64 = 2.0;

/// Octets in a second of the processor.
pub(super) struct Arithmetic {
    hashing: f64,
    tls: f64,
}

impl Arithmetic {
    /// What a gateway cannot but do for so many octets of a file, in seconds of the processor: hash each block, hash each segment,
    /// open what the servers sent and seal what goes out.
    pub(super) fn seconds_of_a_gateway(&self, size: u64) -> f64 {
        let size = size as f64;
        2.0 * size / self.hashing + 2.0 * size / self.tls
    }
}

pub(super) fn measure(table: &mut Table) -> Result<Arithmetic, AnyError> {
    let counts = ShareCounts::new(3, 10).ok_or("three of ten are in order")?;
    let segment: Vec<u8> = (0..SEGMENT).map(|place| (place * 31 % 251) as u8).collect();
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_here()) {
        let code = ErasureCode::with_kernel(counts, kernel);
        let blocks: Vec<(u16, Vec<u8>)> = (7..10)
            .map(|number| {
                let mut block = vec![0; code.block_len(SEGMENT)];
                code.encode(&segment, number, &mut block).map(|()| (number, block))
            })
            .collect::<Result<_, _>>()?;
        let given: Vec<(u16, &[u8])> = blocks.iter().map(|(number, block)| (*number, &block[..])).collect();
        let mut restored = vec![0; SEGMENT];
        let rate = rate(SEGMENT, || {
            code.decode(black_box(&given), black_box(&mut restored)).expect("three blocks of one segment");
        })?;
        if restored != segment {
            return Err("the erasure code gave another segment back".into());
        }
        let row =
            Row::new(format!("erasure decoding, 3 of 10 from secondaries, {kernel:?}"), "GB/s a core", rate / 1e9);
        table.push(if kernel == Kernel::fastest() { row.budget(Budget::AtLeast(BUDGET)) } else { row });
    }
    let hashing = rate(SEGMENT, || {
        black_box(Sha256::digest(black_box(&segment)));
    })?;
    table.push(Row::new("SHA-256", "GB/s a core", hashing / 1e9));
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(|_| "a key of 16 octets")?);
    let mut record = segment[..TLS_RECORD].to_vec();
    let tls = rate(TLS_RECORD, || {
        let nonce = Nonce::assume_unique_for_key([1; 12]);
        black_box(key.seal_in_place_separate_tag(nonce, Aad::empty(), black_box(&mut record)).is_ok());
    })?;
    table.push(Row::new("AES-128-GCM, as TLS uses it", "GB/s a core", tls / 1e9));
    Ok(Arithmetic { hashing, tls })
}

/// Octets in a second of this process's time.
fn rate(octets: usize, mut act: impl FnMut()) -> Result<f64, AnyError> {
    let before = Process(0).cpu()?;
    let times = OCTETS.div_ceil(octets);
    for _ in 0..times {
        act();
    }
    let took = (Process(0).cpu()? - before).as_secs_f64();
    if took <= 0.0 {
        return Err(format!("{:.0} MiB took no time", OCTETS as f64 / MIB).into());
    }
    Ok((times * octets) as f64 / took)
}
