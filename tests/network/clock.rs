//! A node whose clock is wrong, among others whose clocks are right.

use crate::network::federation::{Federation, eventually};
use lafs_clearinghouse::clock::Clock;

const HOUR: i64 = 3_600;

/// An hour is within what a record may be off: the node is warned, and its grid is found all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_an_hour_off_is_noticed_and_hides_no_grid() {
    for offset in [HOUR, -HOUR] {
        let mut federation = Federation::of(4, 4, 200).await;
        federation.published().await;
        federation.clock = Clock::with_offset(offset);
        let wrong = federation.join(true).await;
        let (grid, dht) = (wrong.grid.unwrap(), wrong.node.dht.clone());
        let publisher = wrong.node.publisher.clone().unwrap();
        eventually(async || publisher.published().receipt.filter(|receipt| receipt.holders == 4)).await;
        for member in &federation.nodes[..4] {
            assert!(eventually(async || member.node.dht.row(&grid).await).await.record.sequence() > 0);
        }
        let behind = eventually(async || dht.status().await?.clock_behind_seconds).await;
        assert!((behind + offset).abs() < 60, "{behind} s behind, and it is {offset} s ahead");
        assert!(behind.abs() > 600, "said in the log and in `status`");
    }
}

/// Three hours ahead a record would be refused by everybody, and the next one could not be dated before it: nothing is signed,
/// and the reason is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_too_far_ahead_signs_nothing() {
    let mut federation = Federation::of(4, 4, 200).await;
    federation.published().await;
    federation.clock = Clock::with_offset(3 * HOUR);
    let wrong = federation.join(true).await;
    let publisher = wrong.node.publisher.clone().unwrap();
    let problem = eventually(async || publisher.published().problem).await;
    assert!(problem.contains("s ahead of the other nodes': nothing is signed until it is set right"), "{problem}");
    assert!(publisher.published().record.is_none());
}
