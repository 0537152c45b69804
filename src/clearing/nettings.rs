//! Nettings among several grids: proposed by the clearing node, in force when every grid that they affect has consented.

use crate::clearing::desk::Desk;
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh::is_own_key;
use crate::config::{FileError, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::GridId;
use crate::ledger::{Ledger, LedgerError, NettingBooked, Pair, Part};
use crate::netting::{Debt, Multilateral, NettingError, bilateral, multilateral};
use crate::rate::Asset;
use crate::signed::ObjectType;
use crate::tariff::wire::{Consent, NettedDebt, NettingBody};
use crate::units::{Seconds, UnixSeconds};
use data_encoding::HEXLOWER;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How long grids have to consent.
const GOOD_FOR: Seconds = Seconds::days(7);
/// The most proposals that are looked at.
const MANY: usize = 256;

/// Proposals on disk, one file each, named by its hash.
#[derive(Debug, Clone)]
pub struct NettingFolder(PathBuf);

impl NettingFolder {
    /// The folder at `path`, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Keeps a proposal.
    pub fn keep(&self, netting: &NettingBody) -> Result<(), FileError> {
        create_private_dir(&self.0)?;
        write_atomically(&self.path(&netting.hash()), &netting.encode(), PUBLIC_MODE)
    }

    /// The proposal of this hash.
    pub fn of(&self, hash: &[u8; 32]) -> Option<NettingBody> {
        read(&self.path(hash)).filter(|netting| netting.hash() == *hash)
    }

    /// All of them, by hash.
    pub fn all(&self) -> Vec<NettingBody> {
        let Ok(entries) = std::fs::read_dir(&self.0) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "netting"));
        paths.sort();
        paths.iter().rev().take(MANY).filter_map(|path| read(path)).collect()
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.0.join(format!("{}.netting", HEXLOWER.encode(hash)))
    }
}

fn read(path: &Path) -> Option<NettingBody> {
    NettingBody::from_bytes(&read_at_most(path, NettingBody::MAX_BYTES).ok()?).ok()
}

/// Why nothing is proposed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// Nobody would pay less.
    #[error("a netting would save nothing")]
    SavesNothing,
    /// More debts than one proposal holds.
    #[error("{0} debts are more than one netting holds ({max}): name fewer grids", max = NettingBody::MAX_DEBTS)]
    TooMany(usize),
    /// The debts are not those of any books.
    #[error(transparent)]
    Netting(#[from] NettingError),
    /// The books.
    #[error(transparent)]
    Books(#[from] LedgerError),
}

/// The debts in a clearing node's books, each pair's difference.
pub async fn debts(ledger: &Ledger, asset: Asset) -> Result<Vec<Debt>, LedgerError> {
    let mut debts = Vec::new();
    for pair in ledger.pairs().await?.into_iter().filter(|pair| pair.asset == asset) {
        let [one, other] = [(pair.first, pair.second), (pair.second, pair.first)];
        let owed = net(ledger, one, other, asset).await?;
        let (debtor, creditor) = if owed > 0 { one } else { other };
        let amount = u64::try_from(owed.unsigned_abs()).map(crate::units::MinorUnits);
        let amount = amount.map_err(|_| LedgerError::TooLarge { what: "a debt" })?;
        if amount.0 > 0 {
            debts.push(Debt { asset, debtor, creditor, amount });
        }
    }
    Ok(debts)
}

/// What one owes the other, less what it is owed.
async fn net(ledger: &Ledger, one: GridId, other: GridId, asset: Asset) -> Result<i128, LedgerError> {
    let owed = ledger.owed(Part::Clearing, *one.key(), *other.key(), asset).await?;
    Ok(owed - ledger.owed(Part::Clearing, *other.key(), *one.key(), asset).await?)
}

/// What a netting of these books would come to, among all grids in them but those left out.
pub async fn propose(
    ledger: &Ledger,
    clearing: GridId,
    asset: Asset,
    without: &BTreeSet<GridId>,
    now: UnixSeconds,
) -> Result<(NettingBody, Multilateral), ProposeError> {
    let debts = debts(ledger, asset).await?;
    let grids = debts.iter().flat_map(|debt| [debt.debtor, debt.creditor]);
    let taking_part: BTreeSet<GridId> = grids.filter(|grid| !without.contains(grid)).collect();
    let netted = multilateral(&debts, &taking_part)?.into_iter().find(|netted| netted.asset == asset);
    let netted = netted.filter(|netted| netted.saved() > 0).ok_or(ProposeError::SavesNothing)?;
    let pooled = |debt: &Debt| taking_part.contains(&debt.debtor) && taking_part.contains(&debt.creditor);
    let replaced: Vec<Debt> = bilateral(&debts)?.into_iter().filter(pooled).collect();
    if replaced.len() > NettingBody::MAX_DEBTS {
        return Err(ProposeError::TooMany(replaced.len()));
    }
    let wire = |debts: &[Debt]| {
        debts
            .iter()
            .map(|debt| NettedDebt { debtor: debt.debtor, creditor: debt.creditor, amount: debt.amount })
            .collect()
    };
    let body = NettingBody {
        clearing,
        asset,
        time: now,
        not_after: now.plus(GOOD_FOR),
        replaced: wire(&replaced),
        transfers: wire(&netted.transfers),
    };
    Ok((body, netted))
}

/// A proposal as it is booked.
pub(super) fn booked(netting: &NettingBody) -> NettingBooked {
    let debts = |debts: &[NettedDebt]| {
        let debt = |debt: &NettedDebt| Debt {
            asset: netting.asset,
            debtor: debt.debtor,
            creditor: debt.creditor,
            amount: debt.amount,
        };
        debts.iter().map(debt).collect()
    };
    NettingBooked { netting: netting.hash(), replaced: debts(&netting.replaced), transfers: debts(&netting.transfers) }
}

impl Desk {
    /// Proposals that `caller` has yet to consent to, or others have.
    pub fn nettings(&self, caller: &GridId) -> Vec<NettingBody> {
        let now = self.now();
        let mut all = self.folder().all();
        all.retain(|netting| {
            netting.clearing == self.grid() && now < netting.not_after && netting.of(caller).is_some()
        });
        all
    }

    /// Keeps a consent of `caller`; books the netting if it was the last one that was missing.
    pub async fn consent(&self, bytes: &[u8], caller: &GridId) -> Result<Consent, DeskError> {
        let consent = Consent::from_bytes(bytes)?;
        let body = consent.body();
        if body.grid != *caller {
            return Err(DeskError::OtherGrid(body.grid));
        }
        if body.clearing != self.grid() {
            return Err(DeskError::OtherClearing(body.clearing));
        }
        let netting = self.folder().of(&body.netting).filter(|netting| netting.clearing == self.grid());
        let netting = netting.ok_or(DeskError::NoNetting("it is not known"))?;
        let comes_to = netting.of(caller).ok_or(DeskError::NoNetting("it does not affect this grid"))?;
        if (comes_to.owed, comes_to.due, comes_to.pays, comes_to.receives, netting.asset)
            != (body.owed, body.due, body.pays, body.receives, body.asset)
        {
            return Err(DeskError::NoNetting("it comes to something else for this grid"));
        }
        if self.now() >= netting.not_after.min(body.not_after) {
            return Err(DeskError::NoNetting("its time is over"));
        }
        if !self.grants(caller, |record| is_own_key(record, &body.signer)).await? {
            return Err(DeskError::NoAuthority { grid: *caller, key: body.signer, object: "consent" });
        }
        self.ledger().keep(&consent, self.now()).await?;
        self.complete(&netting).await?;
        Ok(consent)
    }

    /// Books the proposals to which all have consented: what a crash has left.
    pub(super) async fn complete_all(&self) -> Result<(), DeskError> {
        for netting in self.folder().all().iter().filter(|netting| netting.clearing == self.grid()) {
            match self.complete(netting).await {
                // A person has to propose anew.
                Ok(()) | Err(DeskError::NoNetting(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn complete(&self, netting: &NettingBody) -> Result<(), DeskError> {
        let _one_at_a_time = self.settling().await;
        let hash = netting.hash();
        let debts = || netting.replaced.iter().chain(&netting.transfers);
        let mut missing: BTreeSet<GridId> = debts().flat_map(|debt| [debt.debtor, debt.creditor]).collect();
        let papers = self.ledger().papers_of(ObjectType::Consent, None, Some(self.grid().as_bytes())).await?;
        let now = self.now();
        for consent in papers.iter().filter_map(|(_, _, bytes)| Consent::from_bytes(bytes).ok()) {
            if consent.body().netting == hash && now < consent.body().not_after {
                missing.remove(&consent.body().grid);
            }
        }
        let pairs: BTreeSet<Pair> = debts().map(|debt| Pair::of(debt.debtor, debt.creditor, netting.asset)).collect();
        if !missing.is_empty() || now >= netting.not_after {
            return Ok(());
        }
        let proof = crate::signed::Identity(hash);
        let is_booked = async |debt: &NettedDebt| {
            self.ledger().has_netted(proof, &debt.debtor, &debt.creditor, netting.asset).await
        };
        let first = &netting.replaced[0];
        if !is_booked(first).await? {
            // What was paid or netted since cannot be netted again; what was charged since stands beside it.
            let mut left: BTreeMap<(GridId, GridId), i128> = BTreeMap::new();
            for debt in &netting.replaced {
                let owed = net(self.ledger(), debt.debtor, debt.creditor, netting.asset).await?;
                let left = left.entry((debt.debtor, debt.creditor)).or_insert(owed);
                *left -= i128::from(debt.amount.0);
                if *left < 0 {
                    return Err(DeskError::NoNetting("a debt in it has been paid or netted meanwhile"));
                }
            }
            self.ledger().net(None, booked(netting), now).await?;
        }
        for pair in pairs {
            self.post(&pair).await?;
        }
        Ok(())
    }
}
