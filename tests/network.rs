//! Nodes in one process, on loopback, over the real transports: each on a /24 of its own.

#![cfg(feature = "node")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod gateway_node;
#[path = "cli/signed_lane.rs"]
mod signed_lane;
#[path = "valve/mod.rs"]
#[expect(dead_code, reason = "the tests of the program use more of it")]
mod valve;

mod network {
    mod beginning;
    mod clearing;
    mod clock;
    mod evidence;
    mod federation;
    mod figures;
    mod gateways;
    mod grids;
    mod holders;
    mod keeping;
    mod lanes;
    mod offered_over_http;
    mod openapi;
    mod other_implementations;
    mod publish_and_resolve;
    mod read_over_http;
    mod records;
    mod repair;
    mod rollback;
    mod schema;
    mod servers;
    mod settling;
    mod sharing;
    mod stated;
    mod stranger;
    mod strangers_over_http;
    mod succession;
    mod traps;
    mod web;
}
