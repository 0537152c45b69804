//! The erasure code: zfec makes the blocks that we make, and its blocks give the segment back.

use crate::python;
use data_encoding::HEXLOWER;
use lafs_clearinghouse::capability::ShareCounts;
use lafs_clearinghouse::lafs::erasure::{ErasureCode, Kernel};
use serde::Deserialize;

const COUNTS: [&str; 10] = ["1,3", "2,3", "3,10", "7,20", "25,100", "71,255", "30,256", "101,256", "256,256", "1,1"];

#[derive(Deserialize)]
struct Made {
    needed: u16,
    total: u16,
    segment: String,
    blocks: Vec<String>,
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits")
}

#[test]
fn zfec_makes_the_same_blocks_and_they_give_the_segment_back() {
    let Some(output) = python::run("erasure.py", &COUNTS, "") else { return };
    let mut seen = 0;
    for line in output.lines() {
        let made: Made = serde_json::from_str(line).expect(line);
        let segment = bytes(&made.segment);
        let blocks: Vec<Vec<u8>> = made.blocks.iter().map(|block| bytes(block)).collect();
        let (needed, total) = (usize::from(made.needed), usize::from(made.total));
        let counts = ShareCounts::new(made.needed, made.total).expect("counts");
        for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_here()) {
            let code = ErasureCode::with_kernel(counts, kernel);
            for (number, block) in blocks.iter().enumerate() {
                let mut ours = vec![0; block.len()];
                code.encode(&segment, number as u16, &mut ours).expect("a block");
                assert_eq!(ours, *block, "{kernel:?}: block {number} of {needed}-of-{total}");
            }
            // As many secondaries as there are; and every third block, then the ones beside them. Both from the last to the first.
            let secondaries: Vec<usize> = (0..total).rev().take(needed).collect();
            let mut spread: Vec<usize> = (0..total).rev().collect();
            spread.sort_by_key(|number| number % 3);
            spread.truncate(needed);
            for numbers in [secondaries, spread] {
                let given: Vec<(u16, &[u8])> = numbers.iter().map(|n| (*n as u16, &blocks[*n][..])).collect();
                let mut restored = vec![0; segment.len()];
                code.decode(&given, &mut restored).unwrap_or_else(|error| panic!("{numbers:?}: {error}"));
                assert_eq!(restored, segment, "{kernel:?}: {needed}-of-{total} from {numbers:?}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, COUNTS.len());
}
