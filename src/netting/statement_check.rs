//! Holding a signed statement against positions: every figure of it is computed again.

use crate::netting::bill::{Bill, bill};
use crate::tariff::statement_proof::StatementProof;
use crate::tariff::wire::{Position, StatementBody};
use crate::units::{MinorUnits, UnixSeconds};

/// Why the figures of a statement do not follow from positions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// Signed while something could still be booked in its period.
    #[error("its period is not over before {0}")]
    NotOver(UnixSeconds),
    /// Nothing was booked between these two until the end of the period.
    #[error("the positions tell of nothing that was booked before {0}")]
    Nothing(UnixSeconds),
    /// A figure is not the one that follows.
    #[error("{what}: the statement says {said}, and the positions come to {found}")]
    Figure {
        /// Its name in the specification.
        what: &'static str,
        /// What the statement says.
        said: String,
        /// What follows from the positions.
        found: String,
    },
}

/// Holds a statement against the positions that came with it; of one that came alone, whether its period is over.
pub fn check_proof(proof: &StatementProof, now: UnixSeconds) -> Result<(), StatementFault> {
    let body = proof.statement().body();
    match proof.positions() {
        [] if now < body.until => Err(StatementFault::NotOver(body.until)),
        [] => Ok(()),
        positions => check_statement(body, positions, now),
    }
}

/// Holds a statement against a chain of positions that is known to be one.
pub fn check_statement(body: &StatementBody, chain: &[Position], now: UnixSeconds) -> Result<(), StatementFault> {
    if now < body.until {
        return Err(StatementFault::NotOver(body.until));
    }
    let bill = bill(chain, body.from..body.until).ok_or(StatementFault::Nothing(body.until))?;
    match figures(body, &bill).into_iter().find(|(_, said, found)| said != found) {
        Some((what, said, found)) => Err(StatementFault::Figure { what, said, found }),
        None => Ok(()),
    }
}

fn figures(body: &StatementBody, bill: &Bill) -> [(&'static str, String, String); 11] {
    let amount = |name, said: MinorUnits, found: u128| (name, said.0.to_string(), found.to_string());
    let position = body.position.map_or_else(|| "none".to_owned(), |position| position.to_string());
    [
        ("issuer", body.issuer.to_string(), bill.clearing.to_string()),
        ("creditor", body.creditor.to_string(), bill.creditor.to_string()),
        ("debtor", body.debtor.to_string(), bill.debtor.to_string()),
        ("asset", body.asset.to_string(), bill.asset.to_string()),
        ("position", position, bill.position.to_string()),
        amount("brought_forward", body.brought_forward, bill.brought_forward),
        amount("charged", body.charged, bill.charged),
        amount("set_off", body.set_off, bill.set_off),
        amount("settled", body.settled, bill.settled),
        amount("payable", body.payable, bill.payable),
        amount("carried", body.carried, bill.carried),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use crate::netting::chains::{NOW, chain, grid};
    use crate::units::Seconds;

    #[test]
    fn a_statement_holds_by_the_chain_that_it_is_of_and_by_no_other() {
        let days = |first: u64| chain(&[(true, first, 0), (true, 40_000_000, 20_000_000), (false, 7, 0)]);
        let (ours, key) = (days(30_000_000), SecretKey::from_seed(&[9; 32]));
        let period = NOW.plus(Seconds::days(1))..NOW.plus(Seconds::days(2));
        let body = bill(&ours, period).unwrap().statement(grid(3), key.public()).unwrap();
        let later = NOW.plus(Seconds::days(9));
        assert_eq!(check_statement(&body, &ours, later), Ok(()));
        assert_eq!(check_statement(&body, &ours[..2], later), Ok(()), "what came after makes no difference");
        assert_eq!(check_statement(&body, &ours, NOW), Err(StatementFault::NotOver(body.until)));
        assert_eq!(check_statement(&body, &[], later), Err(StatementFault::Nothing(body.until)));
        let figure = |body: &StatementBody, chain: &[Position]| match check_statement(body, chain, later) {
            Err(StatementFault::Figure { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(figure(&body, &ours[..1]), "position", "books that are behind");
        assert_eq!(figure(&body, &days(30_000_001)), "position", "another history");
        // Figures that add up all the same.
        let more = |amount: MinorUnits| MinorUnits(amount.0 + 1);
        let charged = StatementBody { charged: more(body.charged), carried: more(body.carried), ..body.clone() };
        let settled = StatementBody { settled: more(body.settled), charged: more(body.charged), ..body.clone() };
        let turned = StatementBody { creditor: body.debtor, debtor: body.creditor, ..body.clone() };
        let issuer = StatementBody { issuer: grid(4), ..body.clone() };
        let found = [charged, settled, turned, issuer].map(|body| figure(&body, &ours));
        assert_eq!(found, ["charged", "charged", "creditor", "issuer"]);
    }
}
