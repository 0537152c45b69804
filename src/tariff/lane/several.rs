//! Several gateways of one grid that deliver to the same payer: together they lend no more than one would.

use crate::tariff::lane::scenes::{LANE, MIB, NOW, PRICE, limits, pair, unit, voucher};
use crate::tariff::lane::{Counted, Left, Limits, Pair, PairEffect, Served, Transcript};
use crate::tariff::wire::VoucherBody;
use crate::units::Bytes;
use proptest::prelude::*;

/// Gateways, and what all of them were vouched for.
struct Gateways {
    counted: Counted,
    owed: u64,
    each: Vec<OneOf>,
}

struct OneOf {
    pair: Pair,
    /// What left since its last voucher, and that voucher.
    out: Vec<Served>,
    best: Option<VoucherBody>,
}

/// Follows what the machine wants to be written, until that is nothing; all that it wanted.
fn written(pair: &mut Pair, mut effects: Vec<PairEffect>) -> Vec<PairEffect> {
    let mut at = 0;
    while let Some(effect) = effects.get(at) {
        if let PairEffect::Persist(id, _) = effect {
            let id = *id;
            effects.extend(pair.persisted(id, NOW));
        }
        at += 1;
    }
    effects
}

impl Gateways {
    /// A delivery of gateway `at`, where it has room for it and lends it; whether it left.
    fn delivers(&mut self, at: usize) -> bool {
        let OneOf { pair, out, .. } = &mut self.each[at];
        let served = unit(pair.sent(LANE).0, MIB);
        let (ticket, effects) = pair.ask(LANE, served, NOW);
        let effects = written(pair, effects);
        let Ok(ticket) = ticket else { return false };
        if !effects.contains(&PairEffect::Start(ticket)) || pair.is_lent().is_err() {
            let effects = pair.over(ticket, Left::Nothing);
            written(pair, effects);
            return false;
        }
        out.push(served);
        true
    }

    /// All that is out of gateway `at` is vouched for. Where the books are the same it learns what all are owed then.
    fn is_vouched_for(&mut self, at: usize) {
        let OneOf { pair, out, best } = &mut self.each[at];
        let entries = std::mem::take(out);
        if entries.is_empty() {
            return;
        }
        let (octets, amount, transcript) = match best {
            Some(best) => (best.cum_bytes.0, best.cum_amount.0, Transcript(best.transcript)),
            None => (0, 0, Transcript::start(&LANE)),
        };
        let cum_bytes = Bytes(octets + entries.iter().map(|served| served.length.0).sum::<u64>());
        let body = VoucherBody {
            cum_bytes,
            cum_amount: PRICE.charge(cum_bytes).unwrap(),
            transcript: entries.iter().fold(transcript, Transcript::and).0,
            ..voucher(&entries, PRICE)
        };
        let effects = pair.voucher(&body, &entries).unwrap();
        written(pair, effects);
        self.owed += body.cum_amount.0 - amount;
        *best = Some(body);
        if matches!(self.counted, Counted::Together(_)) {
            pair.owes(i128::from(self.owed));
        }
    }

    /// What is owed once all that is out is vouched for: an octet is a minor unit.
    fn lent(&self) -> u64 {
        let out = self.each.iter().flat_map(|gateway| &gateway.out);
        self.owed + out.map(|served| served.length.0).sum::<u64>()
    }
}

proptest! {
    /// In books of their own each lent all of it; in the same ones each knew what the others had been vouched for when its account
    /// began, and no more.
    #[test]
    fn several_gateways_lend_together_no_more_than_the_credit(
        gateways in 1..=4_usize,
        credit in 1..300_u64,
        together in any::<bool>(),
        steps in proptest::collection::vec((0..4_usize, 0..6_u8), 1..600),
    ) {
        let counted = if together { Counted::Together(PRICE) } else { Counted::Apart };
        let whole = Limits { window: Some(Bytes(64 * MIB)), ..limits(credit * MIB) };
        let limits = whole.split(u32::try_from(gateways).unwrap().try_into().unwrap(), counted);
        let one = || OneOf { pair: pair(limits), out: Vec::new(), best: None };
        let mut all = Gateways { counted, owed: 0, each: (0..gateways).map(|_| one()).collect() };
        for (at, act) in steps {
            let at = at % gateways;
            match act {
                0 => all.is_vouched_for(at),
                _ => _ = all.delivers(at),
            }
            prop_assert!(all.lent() <= credit * MIB, "{} of {}", all.lent(), credit * MIB);
        }
        // One that goes on alone comes to the whole, but for what the others might have under way.
        (0..gateways).for_each(|at| all.is_vouched_for(at));
        while all.delivers(0) {
            all.is_vouched_for(0);
        }
        prop_assert!(all.lent() <= credit * MIB, "{} of {}", all.lent(), credit * MIB);
        let others = (gateways as u64 - 1) * (64 * MIB / gateways as u64);
        if together {
            prop_assert!(all.lent() + others + MIB > credit * MIB, "{} of {}", all.lent(), credit * MIB);
        }
    }
}
