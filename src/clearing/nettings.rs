//! Nettings among several grids: proposed by the clearing node, in force when every grid that they affect has consented.

use crate::clearing::consents::Consents;
use crate::clearing::desk::Desk;
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh_records::is_own_key;
use crate::config::{FileError, PUBLIC_MODE, create_private_dir, read_at_most, write_atomically};
use crate::keys::GridId;
use crate::ledger::{Ledger, LedgerError, Pair, Part};
use crate::netting::{Debt, NettingError, Proposal};
use crate::rate::Asset;
use crate::tariff::wire::{Consent, Payload, Revoke, RevokeBody};
use crate::units::MinorUnits;
use data_encoding::HEXLOWER;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The most octets of a proposal that is kept or sent: a thousand grids with ten thousand debts.
pub const MAX_NETTING_BYTES: usize = 256 << 10;
/// The most proposals that are looked at.
const MANY: usize = 256;

/// What a netting comes to for one grid, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netted {
    /// What it owed.
    pub owed: MinorUnits,
    /// What was owed to it.
    pub due: MinorUnits,
    /// What it pays instead.
    pub pays: MinorUnits,
    /// What it receives instead.
    pub receives: MinorUnits,
}

/// What `netting` comes to for `grid`. `None` for one that it does not affect, or beyond what amounts can say.
pub fn netted(netting: &Proposal, grid: &GridId) -> Option<Netted> {
    let sum = |debts: &[Debt], of: fn(&Debt) -> &GridId| {
        let amounts = debts.iter().filter(|debt| of(debt) == grid).map(|debt| u128::from(debt.amount.0));
        u64::try_from(amounts.sum::<u128>()).ok().map(MinorUnits).filter(|sum| *sum <= MinorUnits::MAX)
    };
    let netted = Netted {
        owed: sum(netting.replaced(), |debt| &debt.debtor)?,
        due: sum(netting.replaced(), |debt| &debt.creditor)?,
        pays: sum(netting.transfers(), |debt| &debt.debtor)?,
        receives: sum(netting.transfers(), |debt| &debt.creditor)?,
    };
    (netted.owed.0 > 0 || netted.due.0 > 0).then_some(netted)
}

/// Proposals on disk, one file each, named by its hash.
#[derive(Debug, Clone)]
pub struct NettingFolder(PathBuf);

impl NettingFolder {
    /// The folder at `path`, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Keeps a proposal.
    pub fn keep(&self, netting: &Proposal) -> Result<(), FileError> {
        create_private_dir(&self.0)?;
        write_atomically(&self.path(&netting.hash()), &netting.to_bytes(), PUBLIC_MODE)
    }

    /// The proposal of this hash.
    pub fn of(&self, hash: &[u8; 32]) -> Option<Proposal> {
        read(&self.path(hash)).filter(|netting| netting.hash() == *hash)
    }

    /// All of them, by hash.
    pub fn all(&self) -> Vec<Proposal> {
        let Ok(entries) = std::fs::read_dir(&self.0) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "netting"));
        paths.sort();
        paths.iter().take(MANY).filter_map(|path| read(path)).collect()
    }

    /// Keeps that a consent is taken back until the clearing node has answered.
    pub(super) fn keep_withdrawal(&self, revoke: &Revoke) -> Result<(), FileError> {
        create_private_dir(&self.0)?;
        write_atomically(&self.withdrawal_path(&revoke.body().target.0), revoke.bytes(), PUBLIC_MODE)
    }

    /// What was taken back of a netting and is not answered.
    pub fn withdrawal(&self, hash: &[u8; 32]) -> Option<Revoke> {
        Revoke::from_bytes(&read_at_most(&self.withdrawal_path(hash), RevokeBody::MAX_BYTES).ok()?).ok()
    }

    /// All that was taken back and is not answered.
    pub(super) fn withdrawals(&self) -> Vec<Revoke> {
        self.all().iter().filter_map(|netting| self.withdrawal(&netting.hash())).collect()
    }

    /// It is answered. One that cannot be removed is told again, which is harmless.
    pub(super) fn forget_withdrawal(&self, hash: &[u8; 32]) {
        let _ = std::fs::remove_file(self.withdrawal_path(hash));
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.0.join(format!("{}.netting", HEXLOWER.encode(hash)))
    }

    fn withdrawal_path(&self, hash: &[u8; 32]) -> PathBuf {
        self.path(hash).with_extension("withdrawal")
    }
}

fn read(path: &Path) -> Option<Proposal> {
    Proposal::from_bytes(&read_at_most(path, MAX_NETTING_BYTES).ok()?).ok()
}

/// Why nothing is proposed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// Whom this node keeps books for owes nothing in that asset.
    #[error("by the books that this node keeps for others nobody owes anything in {0}")]
    NoDebts(Asset),
    /// Nobody would pay less.
    #[error("a netting would save nothing")]
    SavesNothing,
    /// More debts than one proposal holds.
    #[error("a netting of {0} octets is more than the {MAX_NETTING_BYTES} that are sent: leave some grids out")]
    TooLarge(usize),
    /// The debts are not those of any books.
    #[error(transparent)]
    Netting(#[from] NettingError),
    /// The books.
    #[error(transparent)]
    Books(#[from] LedgerError),
}

/// The debts in a clearing node's books, each pair's difference.
async fn debts(ledger: &Ledger, asset: Asset) -> Result<Vec<Debt>, LedgerError> {
    let mut debts = Vec::new();
    for pair in ledger.pairs().await?.into_iter().filter(|pair| pair.asset == asset) {
        let owed = net(ledger, pair.first, pair.second, asset).await?;
        let (debtor, creditor) = if owed > 0 { (pair.first, pair.second) } else { (pair.second, pair.first) };
        let amount = u64::try_from(owed.unsigned_abs()).map(MinorUnits);
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
) -> Result<Proposal, ProposeError> {
    let debts = debts(ledger, asset).await?;
    if debts.is_empty() {
        return Err(ProposeError::NoDebts(asset));
    }
    let grids = debts.iter().flat_map(|debt| [debt.debtor, debt.creditor]);
    let taking_part: BTreeSet<GridId> = grids.filter(|grid| !without.contains(grid)).collect();
    let netting = Proposal::of_changes(clearing, asset, &debts, &taking_part)?.ok_or(ProposeError::SavesNothing)?;
    let (gross, net) = totals(&netting);
    let size = netting.to_bytes().len();
    match size {
        _ if gross <= net => Err(ProposeError::SavesNothing),
        _ if size > MAX_NETTING_BYTES => Err(ProposeError::TooLarge(size)),
        _ => Ok(netting),
    }
}

/// What is owed before a netting, and what is paid instead, in minor units.
pub fn totals(netting: &Proposal) -> (u128, u128) {
    let total = |debts: &[Debt]| debts.iter().map(|debt| u128::from(debt.amount.0)).sum();
    (total(netting.replaced()), total(netting.transfers()))
}

impl Desk {
    /// Proposals that affect `caller` and are not in force.
    pub async fn nettings(&self, caller: &GridId) -> Result<Vec<Proposal>, DeskError> {
        let mut open = Vec::new();
        for netting in self.folder().all() {
            let is_for_caller = netting.clearing() == self.grid() && netted(&netting, caller).is_some();
            if is_for_caller && !self.is_in_force(&netting).await? {
                open.push(netting);
            }
        }
        Ok(open)
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
        let netting = self.folder().of(&body.netting).filter(|netting| netting.clearing() == self.grid());
        let netting = netting.ok_or(DeskError::NoNetting("it is not known"))?;
        let comes_to = netted(&netting, caller).ok_or(DeskError::NoNetting("it does not affect this grid"))?;
        if (comes_to.owed, comes_to.due, comes_to.pays, comes_to.receives, netting.asset())
            != (body.owed, body.due, body.pays, body.receives, body.asset)
        {
            return Err(DeskError::NoNetting("it comes to something else for this grid"));
        }
        if self.now() >= body.not_after {
            return Err(DeskError::NoNetting("the time of the consent is over"));
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
        for netting in self.folder().all().iter().filter(|netting| netting.clearing() == self.grid()) {
            match self.complete(netting).await {
                // A person has to propose anew.
                Ok(()) | Err(DeskError::NoNetting(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Books a netting that is in force in the own part too, where this grid is one of those that it affects: no position tells it.
    async fn net_own(&self, netting: &Proposal) -> Result<(), DeskError> {
        let grid = self.grid();
        if netted(netting, &grid).is_some() && self.ledger().netted_at(Part::Payer, &netting.hash()).await?.is_none() {
            self.ledger().net(Some(grid), netting.clone(), self.now()).await?;
        }
        Ok(())
    }

    async fn is_in_force(&self, netting: &Proposal) -> Result<bool, LedgerError> {
        Ok(self.ledger().netted_at(Part::Clearing, &netting.hash()).await?.is_some())
    }

    async fn complete(&self, netting: &Proposal) -> Result<(), DeskError> {
        let _one_at_a_time = self.settling().await?;
        if self.is_in_force(netting).await? {
            return self.net_own(netting).await;
        }
        let (now, consents) = (self.now(), Consents::of(self.ledger(), &self.grid(), &netting.hash()).await?);
        if !netting.grids().iter().all(|grid| consents.holds(grid, now)) {
            return Ok(());
        }
        // What was paid or netted since cannot be netted again; what was charged since stands beside it.
        for debt in netting.replaced() {
            if net(self.ledger(), debt.debtor, debt.creditor, netting.asset()).await? < i128::from(debt.amount.0) {
                return Err(DeskError::NoNetting("a debt in it has been paid or netted meanwhile"));
            }
        }
        self.ledger().net(None, netting.clone(), now).await?;
        self.net_own(netting).await?;
        let debts = netting.replaced().iter().chain(netting.transfers());
        let pairs: BTreeSet<Pair> = debts.map(|debt| Pair::of(debt.debtor, debt.creditor, netting.asset())).collect();
        for pair in pairs {
            self.post(&pair).await?;
        }
        Ok(())
    }
}
