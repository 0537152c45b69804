//! The evidence for a bill, piece by piece.

use crate::keys::{GridId, PublicKey};
use crate::ledger::error::LedgerError;
use crate::ledger::handle::Ledger;
use crate::ledger::part::Part;
use crate::ledger::sql::{Columns, Sql};
use crate::rate::Asset;
use crate::signed::{Identity, ObjectType};
use crate::tariff::bundle::BundlePaper;
use crate::tariff::wire::{LaneOpen, LaneOpenBody};
use crate::units::UnixSeconds;
use std::collections::BTreeSet;

const PAGE: i64 = 2_000;

/// Which lanes go into a bundle. What is left out is not asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct BundleFilter {
    /// Lanes of this payer.
    pub payer: Option<PublicKey>,
    /// Lanes to this payee.
    pub payee: Option<GridId>,
    /// Lanes in this asset.
    pub asset: Option<Asset>,
    /// Lanes opened at this time or later.
    pub from: Option<UnixSeconds>,
    /// Lanes opened before this time.
    pub until: Option<UnixSeconds>,
}

/// A piece of a bundle, in the order in which they come: the head, the papers, the lanes.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'b> {
    /// How much there will be.
    Head {
        /// How many papers.
        papers: u64,
        /// How many lanes.
        lanes: u64,
    },
    /// Terms, a deck or a record.
    Paper(&'b BundlePaper),
    /// A lane.
    Lane {
        /// What both sides signed.
        open: &'b [u8],
        /// The best voucher.
        voucher: &'b [u8],
    },
}

impl BundleFilter {
    fn takes(&self, lane: &LaneOpenBody) -> bool {
        self.payer.is_none_or(|payer| payer == lane.payer)
            && self.payee.is_none_or(|payee| payee == lane.payee)
            && self.asset.is_none_or(|asset| asset == lane.asset)
            && self.from.is_none_or(|from| from <= lane.opened_at)
            && self.until.is_none_or(|until| lane.opened_at < until)
    }
}

impl Ledger {
    /// Hands the evidence for the lanes of one part that have a voucher to `each`: what a third party needs to compute the bill,
    /// from one state of the books.
    ///
    /// Terms, decks and records that are not kept here are not in it; whoever checks it is told which are missing. What is in
    /// memory at once is a page of lanes and the identities of the papers.
    pub async fn each_evidence(
        &self,
        part: Part,
        filter: BundleFilter,
        mut each: impl FnMut(Evidence<'_>),
    ) -> Result<(), LedgerError> {
        let location = self.location().clone();
        let mut reading = self.reading().await?;
        let mut transaction = reading.sql().one_state().await?;
        let mut sql = Sql::new(&mut transaction, &location);
        let (mut lanes, mut named, mut parties) = (0, BTreeSet::new(), BTreeSet::new());
        each_lane(&mut sql, part, &filter, |lane, _, _| {
            lanes += 1;
            named.extend(lane.terms.into_iter().chain(lane.evidence));
            parties.extend([*lane.payer.as_bytes(), *lane.payee.as_bytes()]);
        })
        .await?;
        let papers = papers_of(&mut sql, &named, parties).await?;
        each(Evidence::Head { papers: papers.len() as u64, lanes });
        for some in papers.chunks(100) {
            let text = "SELECT identity, kind, owner, bytes FROM paper WHERE identity IN ({})";
            for row in sql.rows_of(text, some).await? {
                let columns = Columns { table: "paper", row: &row };
                let kind = kind_of(&columns.text(1)?).ok_or_else(|| columns.damaged(1, &"no paper of a bundle"))?;
                each(Evidence::Paper(&BundlePaper { kind, grid: columns.key(2)?, bytes: columns.bytes(3)? }));
            }
        }
        each_lane(&mut sql, part, &filter, |_, open, voucher| each(Evidence::Lane { open, voucher })).await
    }
}

/// Hands the lanes that are wanted to `each`, with what both sides signed and the best voucher.
async fn each_lane(
    sql: &mut Sql<'_>,
    part: Part,
    filter: &BundleFilter,
    mut each: impl FnMut(&LaneOpenBody, &[u8], &[u8]),
) -> Result<(), LedgerError> {
    let text = "SELECT lane.lane, lane.bytes, voucher.bytes FROM lane \
                JOIN voucher ON voucher.lane = lane.lane AND voucher.part = lane.part \
                WHERE lane.lane > $1 AND lane.part = $2 ORDER BY lane.lane LIMIT $3";
    let mut after = Vec::new();
    loop {
        let rows = sql.rows(sqlx::query(text).bind(after.clone()).bind(part.number()).bind(PAGE)).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Columns { table: "lane", row: last }.bytes(0)?;
        for row in &rows {
            let columns = Columns { table: "lane", row };
            let bytes = columns.bytes(1)?;
            let open = LaneOpen::from_bytes(&bytes).map_err(|error| columns.damaged(1, &error))?;
            if filter.takes(open.body()) {
                each(open.body(), &bytes, &columns.bytes(2)?);
            }
        }
    }
}

/// The identities of what is kept of the papers that are named, and of the parties' records, which say whose the keys are that
/// opened the lanes.
async fn papers_of(
    sql: &mut Sql<'_>,
    named: &BTreeSet<Identity>,
    parties: BTreeSet<[u8; 32]>,
) -> Result<Vec<Vec<u8>>, LedgerError> {
    let named: Vec<_> = named.iter().map(|identity| identity.0.to_vec()).collect();
    let parties: Vec<_> = parties.into_iter().map(Vec::from).collect();
    let mut rows = sql.rows_of("SELECT identity, kind FROM paper WHERE identity IN ({})", &named).await?;
    let text = "SELECT identity, kind FROM paper WHERE kind = 'record/1' AND owner IN ({})";
    rows.extend(sql.rows_of(text, &parties).await?);
    let mut found = BTreeSet::new();
    for row in &rows {
        let columns = Columns { table: "paper", row };
        if kind_of(&columns.text(1)?).is_some() {
            found.insert(columns.bytes(0)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// The kinds of papers that a bundle holds.
fn kind_of(text: &str) -> Option<ObjectType> {
    [ObjectType::Terms, ObjectType::Deck, ObjectType::Record].into_iter().find(|kind| kind.name() == text)
}
