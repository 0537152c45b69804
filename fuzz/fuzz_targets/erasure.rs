//! Blocks of any number and length: what is restored makes the same blocks again, by every kind of loop.
#![no_main]

use lafs_clearinghouse::capability::ShareCounts;
use lafs_clearinghouse::lafs::erasure::{ErasureCode, Kernel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // k, N less one, the length of a block, then numbers (two octets each) and contents.
    let [needed, total, block_len, rest @ ..] = data else { return };
    let Some(counts) = ShareCounts::new(u16::from(*needed), u16::from(*total) + 1) else { return };
    let block_len = usize::from(*block_len);
    let blocks: Vec<(u16, &[u8])> = rest
        .chunks(2 + block_len)
        .filter_map(|chunk| chunk.split_first_chunk())
        .map(|(number, block)| (u16::from_be_bytes(*number), block))
        .collect();
    let code = ErasureCode::with_kernel(counts, Kernel::Scalar);
    let mut segment = vec![0xaa; block_len * usize::from(counts.needed())];
    let restored = code.decode(&blocks, &mut segment);
    let mut again = vec![0x55; segment.len()];
    assert_eq!(ErasureCode::new(counts).decode(&blocks, &mut again), restored);
    if restored.is_err() {
        return;
    }
    assert_eq!(again, segment);
    for (number, block) in blocks {
        let mut made = vec![0; block_len];
        code.encode(&segment, number, &mut made).expect("a block of this code");
        assert_eq!(made, block);
    }
});
