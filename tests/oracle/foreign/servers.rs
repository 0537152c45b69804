//! Storage servers that stop answering, and those that are gone.

use crate::two_grids::{SERVERS, TwoGrids, content};
use std::collections::BTreeSet;
use std::process::Command;

/// Stops the processes of some servers for as long as it lives: they take connections and never answer.
struct Stopped(Vec<u32>);

impl Stopped {
    fn these(grids: &TwoGrids, servers: &BTreeSet<usize>) -> Self {
        let pids: Vec<u32> = servers.iter().map(|server| grids.nodes.described.servers[*server].pid).collect();
        pids.iter().for_each(|pid| signal(*pid, "STOP"));
        Self(pids)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal(*pid, "CONT"));
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill");
    assert!(sent.success(), "{name} to {pid}");
}

/// Which servers have shares other than `among`; of several shares on one server any counts.
fn holders(grids: &TwoGrids, index: &lafs_clearinghouse::capability::StorageIndex, among: &[u16]) -> BTreeSet<usize> {
    grids.shares(index).iter().filter(|(number, ..)| among.contains(number)).map(|(_, server, _)| *server).collect()
}

pub(super) fn any_that_can_be_spared(grids: &mut TwoGrids) {
    // Of 2-of-3 any one; without the one that has share 0, what is left has to be decoded.
    let file = content(400_000, 23);
    let cap = grids.client.put("", &file);
    let index = cap.storage_index().expect("stored");
    for number in 0..3 {
        let stopped = Stopped::these(grids, &holders(grids, &index, &[number]));
        assert_eq!(stopped.0.len(), 1);
        assert!(grids.get(&grids.foreign(&cap)) == file, "without the server of share {number}");
    }
    // Of 3-of-10, two shares on each of five servers, three servers: also all that have one that needs no decoding.
    grids.client.encode(3, 10);
    for format in ["", "MDMF"] {
        let file = content(400_000, 24);
        let cap = grids.client.put(format, &file);
        let index = cap.storage_index().expect("stored");
        let mut primary = holders(grids, &index, &[0, 1, 2]);
        assert!(primary.len() <= SERVERS - 2, "{:?}", grids.shares(&index));
        while primary.len() < SERVERS - 2 {
            let another = (0..SERVERS).find(|server| !primary.contains(server)).expect("one of five");
            primary.insert(another);
        }
        for stopped in [primary, BTreeSet::from([0, 2, 4])] {
            let stopped = Stopped::these(grids, &stopped);
            assert_eq!(stopped.0.len(), 3);
            assert!(grids.get(&grids.foreign(&cap)) == file, "{format} without three of five servers");
        }
    }
    grids.client.encode(2, 3);
}
