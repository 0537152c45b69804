//! A disk that takes nothing more.

use crate::child::{LANES, Writer};
use crate::objects::{MIB, NOW, lane, voucher};
use crate::postgres::{Postgres, give};
use lafs_clearinghouse::ledger::{Ledger, LedgerError, Location, Part};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// `prlimit --fsize=0` makes every write to a file fail as a full disk does, and takes no root.
#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    if !Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        assert!(
            std::env::var("REQUIRE_INTEROP").map_or(true, |value| value != "1"),
            "REQUIRE_INTEROP=1 and no prlimit"
        );
        println!("SKIPPED: no `prlimit`, which belongs to util-linux");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("ledger.sqlite"));
    let mut writer = Writer::start(&location);
    let pid = writer.process.id().to_string();
    let limit = |fsize: &str| {
        let done =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={fsize}:unlimited")]).status().unwrap();
        assert!(done.success());
    };
    let mut acked: BTreeMap<u32, u64> = BTreeMap::new();
    let mut note = |line: &str| {
        let (nth, mib) = line.split_once(' ').unwrap();
        acked.insert(nth.parse().unwrap(), mib.parse().unwrap());
    };
    for _ in 0..100 {
        note(&writer.next("acked ").expect("it runs"));
    }
    limit("0");
    // Every lane comes to a stop, and says why.
    let mut full = 0;
    while full < LANES {
        let line = writer.next("").expect("it runs on");
        match line.strip_prefix("acked ") {
            Some(line) => note(line),
            None => full += u32::from(line.starts_with("full 2")),
        }
    }
    limit("unlimited");
    writer.stdin.write_all(b"\n").unwrap();
    for _ in 0..100 {
        note(&writer.next("acked ").expect("it goes on"));
    }
    drop(writer);

    let ledger = Ledger::open(location, NOW).await.unwrap();
    for nth in 0..LANES {
        let stood = ledger.lane(Part::Payee, lane(1, 2, nth).identity()).await.unwrap();
        let mib = stood.and_then(|lane| lane.voucher).map_or(0, |voucher| voucher.body().cum_bytes.0 / MIB);
        assert!(mib >= acked.get(&nth).copied().unwrap_or(0), "lane {nth}");
    }
    ledger.close().await;
}

/// A small file system, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one, which takes root; without it the test is skipped, or fails under `REQUIRE_INTEROP=1`.
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m,mode=777");
        let mounted = rustix::process::geteuid().is_root()
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(folder.path())
                .status()
                .unwrap()
                .success();
        if !mounted {
            assert!(
                std::env::var("REQUIRE_INTEROP").map_or(true, |value| value != "1"),
                "REQUIRE_INTEROP=1, and a file system cannot be mounted: run as root"
            );
            println!("SKIPPED: a full disk under PostgreSQL: a small file system is mounted by root alone");
            return None;
        }
        Some(Self(folder))
    }

    fn filler(&self) -> std::path::PathBuf {
        self.0.path().join("filler")
    }

    /// Takes all that is left.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        while filler.write_all(&[1; 4_096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server may still have files open: then it goes with the last of them.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_under_postgresql_is_said_and_loses_nothing() {
    let Some(server) = Postgres::start() else { return };
    let Some(disk) = SmallDisk::mount(64) else { return };
    let tables = disk.0.path().join("tables");
    std::fs::create_dir(&tables).unwrap();
    give(&tables);
    std::fs::set_permissions(&tables, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // Its log of writes is elsewhere: without room for that a server ends, and with it everything.
    let location = server.database_in("small", &tables);

    let ledger = Ledger::open(location.clone(), NOW).await.unwrap();
    let mut kept = vec![lane(1, 2, 0)];
    ledger.open_lane(Part::Payee, kept[0].clone(), NOW).await.unwrap();
    disk.fill();
    let refused = loop {
        let opened = lane(1, 2, kept.len() as u32);
        match ledger.open_lane(Part::Payee, opened.clone(), NOW).await {
            Ok(_) => kept.push(opened),
            Err(error) => break error,
        }
        assert!(kept.len() < 100_000, "the disk takes everything");
    };
    assert!(matches!(&refused, LedgerError::Full { .. }), "{refused:?}");
    assert!(refused.to_string().contains("is full"), "{refused}");
    // What is there is read, and the same is refused again.
    let next = lane(1, 2, kept.len() as u32);
    assert!(ledger.lane(Part::Payee, kept[0].identity()).await.unwrap().is_some());
    assert!(ledger.open_lane(Part::Payee, next.clone(), NOW).await.unwrap_err().is_full());

    std::fs::remove_file(disk.filler()).unwrap();
    ledger.open_lane(Part::Payee, next.clone(), NOW).await.unwrap();
    ledger.voucher(Part::Payee, voucher(&next, MIB), vec![], NOW).await.unwrap();
    let verified = ledger.verify().await.unwrap();
    assert_eq!((verified.lanes, verified.vouchers), (kept.len() as u64 + 1, 1));
    ledger.close().await;
}
