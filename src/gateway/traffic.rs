//! Octets to and from each counterparty, a day at a time, kept on the disk from the first day on.
//!
//! `traffic/<day>.json` in the data directory: replaced as a whole, so that a crash loses some seconds and no file.

use crate::config::{FileError, Home, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::{GridId, PublicKey};
use crate::units::{Bytes, UnixSeconds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// How many counterparties are counted apart in a day; further ones are counted together as `others`.
const MAX_COUNTERPARTIES: usize = 65_536;
/// The longest file: so many lines of 150 octets.
const MAX_FILE_BYTES: usize = MAX_COUNTERPARTIES * 150 + 1_024;
const OTHERS: &str = "others";
const DAY: u64 = 86_400;

/// Whom octets go to or come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counterparty {
    /// A client of our own grid.
    Client(PublicKey),
    /// Another grid.
    Grid(GridId),
}

impl Counterparty {
    /// How it stands in the file.
    fn name(&self) -> String {
        match self {
            Self::Client(key) => format!("client {key}"),
            Self::Grid(grid) => format!("grid {grid}"),
        }
    }
}

/// What was exchanged with one counterparty in a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    /// Verified ciphertext and manifests that were sent.
    pub sent_bytes: u64,
    /// Verified ciphertext and manifests that came.
    pub received_bytes: u64,
}

/// Which way octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From us to the counterparty.
    Sent,
    /// From the counterparty to us.
    Received,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    day: String,
    counterparties: BTreeMap<String, Exchanged>,
}

/// The counts. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Traffic(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    counts: Mutex<Counts>,
    /// Held while files are written, so that an older state never replaces a newer one.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Counts {
    number: u64,
    today: Day,
    changed: bool,
    /// Days that are over and not on the disk yet.
    over: Vec<Day>,
    total: Exchanged,
}

impl Traffic {
    /// The counts in `home`; those of today go on.
    pub fn open(home: &Home, now: UnixSeconds) -> Result<Self, FileError> {
        let folder = home.traffic();
        create_private_dir(&folder)?;
        let number = now.0 / DAY;
        let today = read(&folder, &name_of(number))?;
        let counts = Counts { number, today, changed: false, over: Vec::new(), total: Exchanged::default() };
        Ok(Self(Arc::new(Inner { folder, counts: Mutex::new(counts), writing: Mutex::new(()) })))
    }

    /// Counts octets that were exchanged with `counterparty`.
    pub fn count(&self, counterparty: &Counterparty, way: Way, octets: Bytes, now: UnixSeconds) {
        let mut counts = self.counts();
        counts.turn(now);
        let name = counterparty.name();
        let known = counts.today.counterparties.len();
        let room = known < MAX_COUNTERPARTIES || counts.today.counterparties.contains_key(&name);
        let name = if room { name } else { OTHERS.to_owned() };
        counts.changed = true;
        counts.today.counterparties.entry(name).or_default().add(way, octets);
        counts.total.add(way, octets);
    }

    /// What each grid was sent today.
    pub fn sent_to_grids(&self, now: UnixSeconds) -> Vec<(GridId, Bytes)> {
        let mut counts = self.counts();
        counts.turn(now);
        let sent = counts.today.counterparties.iter().filter_map(|(name, exchanged)| {
            let grid = name.strip_prefix("grid ")?.parse().ok()?;
            Some((grid, Bytes(exchanged.sent_bytes)))
        });
        sent.collect()
    }

    /// All that was exchanged since the start.
    pub fn total(&self) -> Exchanged {
        self.counts().total
    }

    /// Brings the counts to the disk. What could not be written is tried again the next time.
    pub fn write(&self) -> Result<(), FileError> {
        let _one_at_a_time = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let files: Vec<(String, Vec<u8>)> = {
            let mut counts = self.counts();
            let changed = std::mem::take(&mut counts.changed);
            let today = changed.then_some(&counts.today);
            counts.over.iter().chain(today).map(|day| (day.day.clone(), encode(day))).collect()
        };
        for (day, bytes) in files {
            let written = write_atomically(&self.0.folder.join(format!("{day}.json")), &bytes, PUBLIC_MODE);
            let mut counts = self.counts();
            match written {
                Ok(()) => counts.over.retain(|over| over.day != day),
                Err(error) => {
                    counts.changed = true;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchanged {
    fn add(&mut self, way: Way, octets: Bytes) {
        let sum = match way {
            Way::Sent => &mut self.sent_bytes,
            Way::Received => &mut self.received_bytes,
        };
        *sum = sum.saturating_add(octets.0);
    }
}

impl Counts {
    fn turn(&mut self, now: UnixSeconds) {
        let number = now.0 / DAY;
        // A clock that was set back goes on counting for the later day.
        if number > self.number {
            self.number = number;
            let next = Day { day: name_of(number), ..Day::default() };
            let over = std::mem::replace(&mut self.today, next);
            if self.changed {
                self.over.push(over);
            }
            self.changed = false;
        }
    }
}

/// `2026-11-25`.
fn name_of(day: u64) -> String {
    UnixSeconds(day.saturating_mul(DAY)).to_string().chars().take("2026-11-25".len()).collect()
}

fn encode(day: &Day) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(day).expect("names and numbers are JSON");
    bytes.push(b'\n');
    bytes
}

/// The counts of `day` as they are on the disk. A file that is damaged is put aside, and the day begins anew.
fn read(folder: &Path, day: &str) -> Result<Day, FileError> {
    let path = folder.join(format!("{day}.json"));
    let anew = || Day { day: day.to_owned(), ..Day::default() };
    let bytes = match read_at_most(&path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(anew()),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice::<Day>(&bytes) {
        Ok(read) if read.day == day => Ok(read),
        _ => {
            let aside = path.with_extension("json.damaged");
            std::fs::rename(&path, &aside).map_err(FileError::at("put aside", &path))?;
            warn!(file = %aside.display(), "today's counts of traffic were damaged: put aside, and the day begins anew");
            Ok(anew())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::units::Seconds;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn grid(n: u8) -> GridId {
        GridId::new(SecretKey::from_seed(&[n; 32]).public())
    }

    #[test]
    fn a_restart_goes_on_counting() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let client = Counterparty::Client(SecretKey::from_seed(&[9; 32]).public());
        let traffic = Traffic::open(&home, NOW).unwrap();
        traffic.count(&Counterparty::Grid(grid(1)), Way::Sent, Bytes(5), NOW);
        traffic.count(&Counterparty::Grid(grid(1)), Way::Received, Bytes(7), NOW);
        traffic.count(&client, Way::Sent, Bytes(11), NOW);
        traffic.write().unwrap();
        let again = Traffic::open(&home, NOW).unwrap();
        again.count(&Counterparty::Grid(grid(1)), Way::Sent, Bytes(1), NOW);
        assert_eq!(again.sent_to_grids(NOW), [(grid(1), Bytes(6))]);
        again.write().unwrap();
        let text = std::fs::read_to_string(home.traffic().join("2027-01-15.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["counterparties"][format!("grid {}", grid(1))]["sent_bytes"], 6);
        assert_eq!(json["counterparties"][client.name()]["sent_bytes"], 11);
    }

    #[test]
    fn each_day_has_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let traffic = Traffic::open(&home, NOW).unwrap();
        traffic.count(&Counterparty::Grid(grid(1)), Way::Sent, Bytes(5), NOW);
        let tomorrow = NOW.plus(Seconds::days(1));
        traffic.count(&Counterparty::Grid(grid(2)), Way::Sent, Bytes(6), tomorrow);
        assert_eq!(traffic.sent_to_grids(tomorrow), [(grid(2), Bytes(6))]);
        traffic.write().unwrap();
        assert_eq!(Traffic::open(&home, NOW).unwrap().sent_to_grids(NOW), [(grid(1), Bytes(5))]);
        assert_eq!(Traffic::open(&home, tomorrow).unwrap().sent_to_grids(tomorrow), [(grid(2), Bytes(6))]);
        assert_eq!(traffic.total(), Exchanged { sent_bytes: 11, received_bytes: 0 });
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        create_private_dir(&home.traffic()).unwrap();
        std::fs::write(home.traffic().join("2027-01-15.json"), "{").unwrap();
        assert!(Traffic::open(&home, NOW).unwrap().sent_to_grids(NOW).is_empty());
        assert_eq!(std::fs::read(home.traffic().join("2027-01-15.json.damaged")).unwrap(), b"{");
    }

    #[test]
    fn so_many_are_counted_apart_and_the_rest_together() {
        let dir = tempfile::tempdir().unwrap();
        let traffic = Traffic::open(&Home::new(dir.path()), NOW).unwrap();
        for n in 0..MAX_COUNTERPARTIES {
            traffic.counts().today.counterparties.insert(n.to_string(), Exchanged::default());
        }
        traffic.count(&Counterparty::Grid(grid(1)), Way::Sent, Bytes(5), NOW);
        traffic.count(&Counterparty::Grid(grid(2)), Way::Sent, Bytes(6), NOW);
        assert_eq!(traffic.counts().today.counterparties[OTHERS].sent_bytes, 11);
    }
}
