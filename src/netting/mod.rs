//! Who owes whom, once debts are set off against each other, and what a statement of them says.
//!
//! Pure arithmetic over amounts of one asset at a time: nothing is converted. Two grids always owe each other one amount, the
//! difference ([`bilateral`]). Several grids that all agree may go further ([`multilateral`]): each is left with what it owes
//! or is owed in all, paid in few transfers. Every order is fixed by the grids' keys and by the amounts, so that all who
//! compute a netting from the same debts get the same octets to sign.

mod ageing;
mod bilateral;
mod bill;
#[cfg(test)]
mod chains;
mod debt;
mod fixtures;
mod multilateral;
mod proposal;
mod statement;
mod statement_check;
mod transfers;

pub use ageing::{Ageing, Outstanding, age, pay_oldest_first};
pub use bilateral::bilateral;
pub use bill::{Bill, NotSigned, ageing, bill};
pub use debt::{Debt, NettingError};
pub use multilateral::{Multilateral, NetPosition, multilateral};
pub use proposal::{MAX_DEBTS, MAX_GRIDS, Proposal, ProposalError};
pub use statement::{Payable, payable};
pub use statement_check::{StatementFault, check_proof, check_statement};
