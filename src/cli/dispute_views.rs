//! Disputes as JSON, and the same for people.

use crate::cli::table::Table;
use crate::ledger::Dispute;
use crate::units::{Bytes, UnixSeconds};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;
use std::fmt;

/// Several of them.
#[derive(Debug, Serialize)]
pub(super) struct DisputesView {
    pub(super) disputes: Vec<DisputeView>,
}

/// One. Amounts are strings of digits in minor units of the asset.
#[derive(Debug, Serialize)]
pub(super) struct DisputeView {
    lane: String,
    part: String,
    other: String,
    asset: &'static str,
    scale: u32,
    /// Up to where both agree.
    agree_to_bytes: u64,
    /// The first point behind it that both have, and where they differ.
    differ_at_bytes: u64,
    /// By our books, the charge for what lies beyond the point up to which both agree.
    amount: String,
    found_at_unix_seconds: UnixSeconds,
    /// The hash of all deliveries up to that point, as the payer has signed it for us.
    our_transcript: String,
    /// As it has signed it for the other side.
    their_transcript: String,
    /// The `voucher/1` that we hold.
    our_voucher_base64url: String,
    /// The one that the other side has shown.
    their_voucher_base64url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<ClosedView>,
    #[serde(skip)]
    amount_text: String,
}

#[derive(Debug, Serialize)]
struct ClosedView {
    at_unix_seconds: UnixSeconds,
    by: String,
    reason: String,
}

impl DisputeView {
    pub(super) fn new(dispute: &Dispute) -> Self {
        let found = &dispute.found;
        let asset = found.open.body().asset;
        Self {
            lane: found.open.identity().to_string(),
            part: found.part.to_string(),
            other: dispute.other().to_string(),
            asset: asset.code(),
            scale: asset.scale(),
            agree_to_bytes: found.agree_to.0,
            differ_at_bytes: dispute.differ_at().0,
            amount: dispute.amount.0.to_string(),
            found_at_unix_seconds: dispute.found_at,
            our_transcript: HEXLOWER.encode(&found.ours.body().transcript),
            their_transcript: HEXLOWER.encode(&found.theirs.body().transcript),
            our_voucher_base64url: BASE64URL_NOPAD.encode(found.ours.bytes()),
            their_voucher_base64url: BASE64URL_NOPAD.encode(found.theirs.bytes()),
            closed: dispute.closed.as_ref().map(|closed| ClosedView {
                at_unix_seconds: closed.at,
                by: closed.by.to_string(),
                reason: closed.reason.to_string(),
            }),
            amount_text: format!("{} {asset}", asset.decimal(dispute.amount.0)),
        }
    }
}

impl fmt::Display for DisputesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.disputes.is_empty() {
            return writeln!(f, "Nothing is in dispute.");
        }
        for (place, it) in self.disputes.iter().enumerate() {
            let mut table = Table::new();
            table.row("lane", &it.lane);
            table.row("with", format!("{}, who {}", it.other, if it.part == "payer" { "delivers" } else { "pays" }));
            table.row("both agree", format!("up to {}", Bytes(it.agree_to_bytes)));
            table.row("they differ", format!("at {} bytes", it.differ_at_bytes));
            table.row("beyond, for us", &it.amount_text);
            table.row("found", it.found_at_unix_seconds);
            table.row("signed for us", &it.our_transcript);
            table.row("and for them", &it.their_transcript);
            if let Some(closed) = &it.closed {
                table.row("closed", format!("by {} on {}: {}", closed.by, closed.at_unix_seconds, closed.reason));
            }
            write!(f, "{}{table}", if place > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}
