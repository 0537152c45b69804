//! Who is killed by SIGKILL in the middle of a transfer, or of a claim, and what becomes of that.

use crate::calls::grids::{Grids, PATIENCE};
use crate::calls::readers::{Call, Fetched, Readers};
use crate::calls::scenario::Part;
use crate::play::AnyError;
use lafs_clearinghouse::reader::unfinished_bytes;
use std::path::Path;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// Between two looks at how much of a file there is.
const LOOK_OFTEN: Duration = Duration::from_millis(2);
/// How often a transfer is begun that ends before anybody could be killed.
const ATTEMPTS: usize = 20;
/// How long claims are under way when the node that books them is killed.
const CLAIMING: Duration = Duration::from_millis(150);

/// Kills whoever is `part` of a read, in the middle of it, starts it again, and has the read come to its end.
pub(super) async fn crash(
    grids: &mut Grids,
    readers: &Readers,
    part: Part,
    victim: &Call,
    number: usize,
) -> Result<Fetched, AnyError> {
    if part == Part::Clearing {
        crash_clearing(grids).await?;
        return readers.read(grids.ahead, victim, number).await;
    }
    let reader = &readers.all[victim.reader];
    let output = reader.dir.join(format!("read-{number}"));
    let mut whole = 0;
    {
        let _alone = reader.at_work.lock().await;
        let mut child = loop {
            let mut child = grids.ahead.command(&reader.words(&victim.cap, &output))?.spawn()?;
            if is_under_way(&mut child, &output).await? {
                break child;
            }
            // Too fast, or refused by somebody who is on the way back.
            whole += 1;
            let _ = std::fs::remove_file(&output);
            if whole == ATTEMPTS {
                return Err(format!("{} is never found in the middle of a read", reader.name).into());
            }
        };
        match part {
            Part::Client | Part::Clearing => child.kill().await?,
            Part::Home | Part::Foreign => {
                let grid = if part == Part::Home { reader.home } else { victim.at };
                grids.kill(grid).await?;
                grids.start(grid).await?;
                timeout(PATIENCE, child.wait())
                    .await
                    .map_err(|_| "a reader outlasts the gateway that it reads from")??;
            }
        }
    }
    let fetched = readers.read(grids.ahead, victim, number).await?;
    // Those that nobody killed count as broken off too: how far they came was not looked at.
    Ok(Fetched { broken_off: fetched.broken_off + 1 + whole as u64, ..fetched })
}

/// Waits until something of the file is there; `false` if the process has ended before.
async fn is_under_way(child: &mut Child, output: &Path) -> Result<bool, AnyError> {
    loop {
        if unfinished_bytes(output) > 0 {
            return Ok(true);
        }
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        sleep(LOOK_OFTEN).await;
    }
}

/// Kills the clearing node while claims come in, and starts it again. What was claimed is claimed again.
async fn crash_clearing(grids: &mut Grids) -> Result<(), AnyError> {
    let mut claims = Vec::new();
    for grid in grids.numbers().skip(1) {
        claims.push(grids.ahead.command(&["statement", "--now", "--json", "-d", grids.dir(grid)])?.spawn()?);
    }
    sleep(CLAIMING).await;
    grids.kill(0).await?;
    grids.start(0).await?;
    for mut claim in claims {
        timeout(PATIENCE * 2, claim.wait()).await.map_err(|_| "a claim does not end")??;
    }
    Ok(())
}
