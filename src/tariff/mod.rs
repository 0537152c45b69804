//! What may be owed: how much is under way to whom, and what strangers are given for nothing.
//!
//! Decides and counts; takes the time as an argument and moves no byte. [`wire`] has the signed objects of money.

mod allowance;
pub mod bundle;
pub mod lane;
mod pool;
pub mod statement_proof;
mod window;
pub mod wire;

pub use allowance::{Allowance, Spent};
pub use pool::{Pool, PoolAccount, PoolRefusal, Stranger};
pub use window::{Ask, Ticket, Window, WindowRefusal};
