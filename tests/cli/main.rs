//! The program `clearinghouse` as people and scripts meet it: the real binary in a temporary folder, and all of what it
//! prints on both outputs with the code that it ends with.

#![cfg(feature = "node")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod abroad;
mod ahead;
mod all_money;
mod api;
mod billed;
mod called_gateways;
mod caps;
mod cheaper;
mod claimed;
mod clearing;
mod clients;
mod clocks;
mod clones;
mod copies;
mod credit;
mod disputes;
mod endings;
mod forged;
mod full_books;
mod gateways;
mod given;
#[path = "../grid_files/mod.rs"]
mod grid_files;
mod hand_lane;
mod home_gateway;
mod in_mid_file;
mod init;
mod killed;
mod lent_by_two;
mod lies;
mod life;
mod lying_gateway;
mod netted;
mod nodes;
mod paid;
mod payments;
mod place;
#[path = "../ledger/postgres.rs"]
#[expect(dead_code, reason = "the tests of the books use more of it")]
mod postgres;
mod priced;
mod quotas;
#[path = "../raw_client/mod.rs"]
#[expect(dead_code, reason = "the tests over a real grid use more of it")]
mod raw_client;
mod readers;
mod records;
mod resolving;
mod shared_books;
mod signed_lane;
mod stalls;
mod statements;
mod stopped;
mod strange_lanes;
mod trio;
mod usage;
#[path = "../valve/mod.rs"]
mod valve;
mod withdrawn;
mod written_off;
