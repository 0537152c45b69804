//! Caps for tests: some that a real grid of Tahoe-LAFS 1.20 made, and arbitrary ones.

use crate::capability::cap::{Capability, FileCap};
use crate::capability::immutable::{ChkRead, ChkVerifier, Literal, ShareCounts};
use crate::capability::key::{Key, StorageIndex};
use crate::capability::mutable::{MutableFormat, MutableRead, MutableVerifier, MutableWrite};
use crate::units::Bytes;
use proptest::prelude::*;

pub(super) const LITERAL: &str = "URI:LIT:or3wk3tupeqge6lumvzsa33geb2gk6du";
pub(super) const CHK_READ: &str =
    "URI:CHK:44wphqinesnggifna54n6ccwke:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";
pub(super) const CHK_VERIFIER: &str =
    "URI:CHK-Verifier:fmcjxaq4gq662fpakc3pegobjq:gsbsu5hlwbscygephg3aqd7t47y2agatsnnt7eip37w7znx6ws3q:2:3:1000000";
pub(super) const SDMF_READ: &str =
    "URI:SSK-RO:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
pub(super) const SDMF_VERIFIER: &str =
    "URI:SSK-Verifier:atnxn235qwowi2kosbbayke46m:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";

pub(super) const REAL: [&str; 8] = [
    LITERAL,
    CHK_READ,
    CHK_VERIFIER,
    "URI:CHK:qlmjfw3la52qsu7qxouk4b7tpm:ju2otwp5diqz35db4k6ix3mrkdhddxt2qj4b3eq5vsmlhrozyk2a:2:3:20000000",
    "URI:CHK-Verifier:bm7gbendzlnlci62pb52vcf3c4:ju2otwp5diqz35db4k6ix3mrkdhddxt2qj4b3eq5vsmlhrozyk2a:2:3:20000000",
    SDMF_READ,
    SDMF_VERIFIER,
    "URI:MDMF-Verifier:c3v2zpm7wvedyo57shkilmpxiu:tliqiblb6mlgz2o6i5jdygkobrt74httm53wctiyho6h27i6yhha",
];

prop_compose! {
    fn any_shares()(total in 1..=ShareCounts::MAX_TOTAL)(needed in 1..=total, total in Just(total)) -> ShareCounts {
        ShareCounts::new(needed, total).expect("within bounds")
    }
}

fn any_format() -> impl Strategy<Value = MutableFormat> {
    prop_oneof![Just(MutableFormat::Sdmf), Just(MutableFormat::Mdmf)]
}

pub(super) fn any_capability() -> impl Strategy<Value = Capability> {
    let immutable = || (any::<[u8; 16]>(), any::<[u8; 32]>(), any_shares(), any::<u64>());
    let mutable = || (any_format(), any::<[u8; 16]>(), any::<[u8; 32]>());
    let file = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..=Literal::MAX_MADE)
            .prop_map(|content| FileCap::Literal(Literal::new(&content).expect("within bounds"))),
        immutable().prop_map(|(key, hash, shares, size)| {
            FileCap::ChkRead(ChkRead::new(Key::new(key), hash, shares, Bytes(size)))
        }),
        immutable().prop_map(|(index, hash, shares, size)| {
            FileCap::ChkVerifier(ChkVerifier::new(StorageIndex::new(index), hash, shares, Bytes(size)))
        }),
        mutable()
            .prop_map(|(format, key, hash)| { FileCap::MutableWrite(MutableWrite::new(format, Key::new(key), hash)) }),
        mutable()
            .prop_map(|(format, key, hash)| { FileCap::MutableRead(MutableRead::new(format, Key::new(key), hash)) }),
        mutable().prop_map(|(format, index, hash)| {
            FileCap::MutableVerifier(MutableVerifier::new(format, StorageIndex::new(index), hash))
        }),
    ];
    (file, any::<bool>()).prop_map(|(file, directory)| match directory {
        true => Capability::Directory(file),
        false => Capability::File(file),
    })
}
