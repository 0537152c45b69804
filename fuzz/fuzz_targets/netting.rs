//! Nettings: what a clearing node proposes and every grid computes again. The bytes as they come; and debts between a few grids
//! drawn from them, as the netting that they come to.
#![no_main]

use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::netting::{Debt, Proposal};
use lafs_clearinghouse::rate::Asset;
use lafs_clearinghouse::units::MinorUnits;
use lafs_clearinghouse_fuzz::{grid, has_one_form};
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Few, so that they meet again.
static GRIDS: LazyLock<Vec<GridId>> =
    LazyLock::new(|| (0..7).map(|n| GridId::new(SecretKey::from_seed(&[n; 32]).public())).collect());

fuzz_target!(|data: &[u8]| {
    match Proposal::from_bytes(data) {
        Ok(read) => holds(&read, data),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let usd = Asset::from_code("USD").expect("an asset");
    // Who owes, whom, and an amount of up to 2^62.
    let debts: Vec<Debt> = data
        .chunks_exact(4)
        .filter(|drawn| drawn[0] % 7 != drawn[1] % 7)
        .map(|drawn| Debt {
            asset: usd,
            debtor: GRIDS[usize::from(drawn[0] % 7)],
            creditor: GRIDS[usize::from(drawn[1] % 7)],
            amount: MinorUnits(1 + (u64::from(drawn[2]) << (drawn[3] % 55))),
        })
        .collect();
    let consenting: BTreeSet<GridId> = GRIDS.iter().skip(data.len() % 3).copied().collect();
    // A sum that is too large is an error with a name.
    if let Ok(Some(made)) = Proposal::new(*grid(), usd, &debts, &consenting) {
        let bytes = made.to_bytes();
        assert_eq!(Proposal::from_bytes(&bytes).as_ref(), Ok(&made));
        assert!(made.grids().is_subset(&consenting));
        holds(&made, &bytes);
    }
});

/// Nobody's net changes, nobody both pays and is paid, and there are fewer transfers than grids.
fn holds(netting: &Proposal, bytes: &[u8]) {
    has_one_form(bytes);
    assert_eq!(netting.to_bytes(), bytes);
    let mut nets: BTreeMap<GridId, i128> = BTreeMap::new();
    for (debts, sign) in [(netting.replaced(), 1), (netting.transfers(), -1)] {
        for debt in debts {
            assert!(debt.amount.0 > 0 && debt.debtor != debt.creditor);
            *nets.entry(debt.debtor).or_default() -= sign * i128::from(debt.amount.0);
            *nets.entry(debt.creditor).or_default() += sign * i128::from(debt.amount.0);
        }
    }
    assert!(nets.values().all(|net| *net == 0), "somebody's net changes: {nets:?}");
    let pays: BTreeSet<_> = netting.transfers().iter().map(|debt| debt.debtor).collect();
    let is_paid: BTreeSet<_> = netting.transfers().iter().map(|debt| debt.creditor).collect();
    assert!(pays.is_disjoint(&is_paid));
    assert!(netting.transfers().len() < netting.grids().len());
}
