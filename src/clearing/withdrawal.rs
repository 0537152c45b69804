//! A consent to a netting is taken back: by the clearing node's word, since it alone knows whether the netting has taken effect. Until it
//! has answered, the grid that takes it back keeps the withdrawal in a file and tells it again; afterwards it is in the books of both.

use crate::causes::chain;
use crate::clearing::consents::Consents;
use crate::clearing::desk::Desk;
use crate::clearing::desk_error::DeskError;
use crate::clearing::fresh_records::is_own_key;
use crate::clearing::nettings::netted;
use crate::clearing::settle::{RoundError, Settler};
use crate::clearing::take::{TakeError, Taken};
use crate::keys::GridId;
use crate::ledger::{LedgerError, Part};
use crate::netting::Proposal;
use crate::peer::PeerError;
use crate::tariff::wire::Revoke;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};

/// The name of a revocation in JSON, and what is around it.
const MAX_ANSWER_BYTES: usize = 16 << 10;

impl Desk {
    /// Keeps that `caller` takes back what it has consented to until then; refused once the netting has taken effect. To repeat it is
    /// harmless, also after that.
    pub async fn withdraw(&self, revoke: &Revoke, caller: &GridId) -> Result<(), DeskError> {
        let body = revoke.body();
        if body.issuer != *caller {
            return Err(DeskError::OtherGrid(body.issuer));
        }
        let netting = self.folder().of(&body.target.0).filter(|netting| netting.clearing() == self.grid());
        let netting = netting.ok_or(DeskError::NoNetting("it is not known"))?;
        netted(&netting, caller).ok_or(DeskError::NoNetting("it does not affect this grid"))?;
        if !self.grants(caller, |record| is_own_key(record, &body.signer)).await? {
            return Err(DeskError::NoAuthority { grid: *caller, key: body.signer, object: "revocation" });
        }
        // Nothing takes effect between the look and the answer.
        let _one_at_a_time = self.settling().await?;
        let is_kept = !self.ledger().papers(&[revoke.identity()]).await?.is_empty();
        match self.ledger().netted_at(Part::Clearing, &netting.hash()).await? {
            Some(since) if !is_kept => Err(DeskError::InForce(since)),
            _ => {
                self.ledger().keep(revoke, self.now()).await?;
                Ok(())
            }
        }
    }
}

impl Settler {
    /// Takes in that a consent is taken back: the own one, or that of a grid that we clear for.
    pub(super) async fn take_withdrawal(&self, revoke: &Revoke) -> Result<Taken, TakeError> {
        let (body, grid) = (revoke.body(), self.grid());
        let netting = self.0.nettings.of(&body.target.0).ok_or(TakeError::NothingEnded)?;
        let mut taken = Taken { kind: "withdrawal", identity: revoke.identity(), told: Vec::new(), untold: Vec::new() };
        if netting.clearing() == grid {
            self.desk().withdraw(revoke, &body.issuer).await?;
            return Ok(taken);
        }
        if body.issuer != grid {
            return Err(TakeError::OtherGrids);
        }
        self.granted(&grid, &body.signer, |record| is_own_key(record, &body.signer)).await?;
        if let Some(since) = self.ledger().netted_at(Part::Payer, &netting.hash()).await? {
            return Err(DeskError::InForce(since).into());
        }
        if self.consents(&netting).await?.until(&grid).is_none() {
            let is_kept = !self.ledger().papers(&[revoke.identity()]).await?.is_empty();
            return if is_kept { Ok(taken) } else { Err(TakeError::NotConsented) };
        }
        self.0.nettings.keep_withdrawal(revoke)?;
        match self.bring(&netting, revoke).await {
            Ok(()) => taken.told.push(netting.clearing()),
            Err(Brought::Refused(why)) => {
                return Err(TakeError::NotTaken { clearing: netting.clearing(), why: chain(&why) });
            }
            Err(Brought::Failed(error)) => taken.untold.push((netting.clearing(), chain(&error))),
        }
        Ok(taken)
    }

    /// Tells withdrawals again that no clearing node has answered yet, as long as a consent could be counted. What became of those that
    /// were not taken, and why.
    pub(super) async fn hand_on_withdrawals(&self) -> Result<Vec<(String, RoundError)>, LedgerError> {
        let (grid, mut failed) = (self.grid(), Vec::new());
        for revoke in self.0.nettings.withdrawals() {
            let hash = revoke.body().target.0;
            let Some(netting) = self.0.nettings.of(&hash) else { continue };
            if !self.consents(&netting).await?.holds(&grid, self.clock().now()) {
                self.0.nettings.forget_withdrawal(&hash);
                continue;
            }
            if let Err(Brought::Refused(error) | Brought::Failed(error)) = self.bring(&netting, &revoke).await {
                failed.push((format!("a consent for {} that is taken back", netting.clearing()), error));
            }
        }
        Ok(failed)
    }

    async fn consents(&self, netting: &Proposal) -> Result<Consents, LedgerError> {
        Consents::of(self.ledger(), &netting.clearing(), &netting.hash()).await
    }

    /// Has the clearing node take a withdrawal. Taken, it is one in these books too; refused, it is none.
    async fn bring(&self, netting: &Proposal, revoke: &Revoke) -> Result<(), Brought> {
        let sent = Bytes::copy_from_slice(revoke.bytes());
        let answer = self.ask(&netting.clearing(), Method::POST, "/v1/revocations", sent, MAX_ANSWER_BYTES).await;
        let brought = match answer {
            Ok(_) => {
                let kept = self.ledger().keep(revoke, self.clock().now()).await;
                kept.map(drop).map_err(|error| Brought::Failed(error.into()))
            }
            Err(error) if is_conflict(&error) => Err(Brought::Refused(error)),
            Err(error) => Err(Brought::Failed(error)),
        };
        if !matches!(brought, Err(Brought::Failed(_))) {
            self.0.nettings.forget_withdrawal(&netting.hash());
        }
        brought
    }
}

/// Why a clearing node has not taken a withdrawal.
enum Brought {
    /// It says that it is too late, or that there is no such netting.
    Refused(RoundError),
    /// It is not known whether it has: it is told again.
    Failed(RoundError),
}

fn is_conflict(error: &RoundError) -> bool {
    let refusal = if let RoundError::Peer(error) = error { PeerError::refusal(error) } else { None };
    refusal.is_some_and(|refusal| refusal.status == StatusCode::CONFLICT.as_u16())
}
