//! `testnet bench clear`: what the books cost. Durable vouchers by group commit on SQLite, with PostgreSQL beside it; computing
//! a million of them again; netting a million debts; a fetch with vouchers and without.

mod books;
mod cost;

use super::process::Process;
use super::table::{Budget, Row, Table};
use super::{AnyError, say};
use lafs_clearinghouse::keys::{GridId, PublicKey, SecretKey};
use lafs_clearinghouse::ledger::Location;
use lafs_clearinghouse::netting::{Debt, multilateral};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::signed::Identity;
use lafs_clearinghouse::tariff::wire::{LaneOpen, LaneOpenBody, LaneProposal, Voucher, VoucherBody};
use lafs_clearinghouse::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// The beginning of an hour.
const NOW: UnixSeconds = UnixSeconds(500_000 * 3_600);
const PRICE: PricePerGib = PricePerGib(20_000_000);
const MIB: u64 = 1 << 20;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ClearBench {
    /// How many vouchers are made durable, on each database
    #[arg(long, default_value_t = 60_000)]
    durable: u32,
    /// How many lanes write them at once, each waiting for its last one
    #[arg(long, default_value_t = 256)]
    lanes: u32,
    /// How many vouchers are verified
    #[arg(long, default_value_t = 1_000_000)]
    verified: u32,
    /// How many grids are netted
    #[arg(long, default_value_t = 10_000)]
    grids: u32,
    /// How many debts they have
    #[arg(long, default_value_t = 1_000_000)]
    debts: u32,
    /// The size of the file that is read with vouchers and without, in millions of bytes
    #[arg(long, default_value_t = 400)]
    megabytes: u64,
    /// How many times each pair of nodes reads it each way
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// How many pairs of nodes are started for that, one after the other; 0 leaves that part out
    #[arg(long, default_value_t = 6)]
    pairs: usize,
    /// An empty PostgreSQL database, as `scripts/bench` starts one; without it SQLite is measured alone
    #[arg(long, value_name = "URL")]
    postgres: Option<Location>,
    /// Where the files are written [default: the system's folder for temporary ones, which must be on a disk]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the bench and prints its table.
pub(crate) async fn clear(bench: ClearBench) -> Result<(), AnyError> {
    let began = Instant::now();
    let others = bench.postgres.as_ref().map(|_| "PostgreSQL on this disk".to_owned()).into_iter().collect();
    let mut table = Table::new(&["postgresql"], others);
    // First, while this process has not taken memory for anything else.
    net(&bench, &mut table)?;
    let folder = bench.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("lafs-bench-clear-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let measured = measure(&bench, &folder, &mut table).await;
    std::fs::remove_dir_all(&folder)?;
    measured?;
    table.print(bench.json, began.elapsed());
    Ok(())
}

async fn measure(bench: &ClearBench, folder: &Path, table: &mut Table) -> Result<(), AnyError> {
    books::measure(bench, folder, table).await?;
    if bench.pairs > 0 && bench.rounds > 0 {
        cost::measure(bench, folder, table).await?;
    }
    Ok(())
}

fn net(bench: &ClearBench, table: &mut Table) -> Result<(), AnyError> {
    say(format_args!("netting {} debts of {} grids", bench.debts, bench.grids));
    let grids: Vec<GridId> = (0..bench.grids).map(|n| GridId::new(key(n).public())).collect();
    // Any sequence that looks drawn will do, and the same in every run.
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % below as u64).unwrap_or(0)
    };
    let debts: Vec<Debt> = (0..bench.debts)
        .map(|_| {
            let debtor = draw(grids.len());
            let creditor = (debtor + 1 + draw(grids.len() - 1)) % grids.len();
            let amount = MinorUnits(1 + draw(1 << 30) as u64);
            Debt { asset: usd(), debtor: grids[debtor], creditor: grids[creditor], amount }
        })
        .collect();
    let consenting: BTreeSet<GridId> = grids.iter().copied().collect();
    let before = Process(0).resident()?;
    let began = Instant::now();
    let netted = multilateral(&debts, &consenting)?;
    let took = began.elapsed();
    let peak = Process(0).peak()?;
    let note = netted.first().map_or(String::new(), |it| {
        format!(
            "{} transfers, {:.1} % of the gross is paid",
            it.transfers.len(),
            100.0 * it.net as f64 / it.gross as f64
        )
    });
    table.push(Row::new("netting", "s", took.as_secs_f64()).budget(Budget::AtMost(5.0)).note(note));
    let held = format!("of which {} MB are the debts", before / 1_000_000);
    table.push(Row::new("netting, peak memory", "MB", peak as f64 / 1e6).budget(Budget::AtMost(500.0)).note(held));
    Ok(())
}

fn key(n: u32) -> SecretKey {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&n.to_be_bytes());
    SecretKey::from_seed(&seed)
}

fn usd() -> Asset {
    Asset::from_code("USD").unwrap_or(Asset::FREE)
}

/// The `nth` lane of grid 1 to grid 2.
fn lane(nth: u32) -> Result<LaneOpen, AnyError> {
    let (payer, payee): (PublicKey, PublicKey) = (key(1).public(), key(2).public());
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&nth.to_be_bytes());
    let body = LaneOpenBody {
        payer,
        payer_key: payer,
        payee: GridId::new(payee),
        payee_key: payee,
        destination: None,
        asset: usd(),
        price: PRICE,
        evidence: Some(Identity([5; 32])),
        terms: None,
        grant: None,
        position: None,
        payer_instance: [1; 16],
        payee_instance: [2; 16],
        payer_session: key(3).public(),
        payee_session: key(4).public(),
        payer_nonce: nonce,
        payee_nonce: [4; 16],
        secret_hash: [8; 32],
        opened_at: NOW,
        not_after: NOW.plus(Seconds::hours(24)),
    };
    Ok(LaneProposal::sign(&body, &key(1))?.accept(&key(2))?)
}

fn voucher(lane: &LaneOpen, mib: u32) -> Result<Voucher, AnyError> {
    let cum_bytes = Bytes(u64::from(mib) * MIB);
    let cum_amount = lane.body().charge(cum_bytes).ok_or("a charge that fits")?;
    let body = VoucherBody { lane: lane.identity(), cum_bytes, cum_amount, time: NOW, transcript: [7; 32] };
    Ok(Voucher::issue(&body, lane, &key(3))?)
}
