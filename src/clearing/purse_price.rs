//! When a payer looks whether a lane may be had for less than the one that it has.

use crate::units::{PricePerGib, Seconds, UnixSeconds};

/// After how long the payee of a lane with a price is asked for its price again.
const ASKED_AGAIN: Seconds = Seconds(600);

/// Whether another lane is worth asking for: `known` is what the payee is known to ask by now, and `asked` when it was asked last.
pub(super) fn is_worth_asking(
    price: PricePerGib,
    known: Option<PricePerGib>,
    asked: UnixSeconds,
    now: UnixSeconds,
) -> bool {
    price.0 > 0 && (known.is_some_and(|known| known < price) || now >= asked.plus(ASKED_AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payee_is_asked_again_when_it_is_known_to_be_cheaper_or_after_a_while() {
        let (price, asked) = (PricePerGib(5), UnixSeconds(1_800_000_000));
        let at = |seconds| asked.plus(Seconds(seconds));
        assert!(!is_worth_asking(price, None, asked, at(599)));
        assert!(is_worth_asking(price, None, asked, at(600)));
        assert!(is_worth_asking(price, Some(PricePerGib(4)), asked, asked));
        assert!(!is_worth_asking(price, Some(price), asked, asked), "it is no lower");
        assert!(!is_worth_asking(price, Some(PricePerGib(6)), asked, asked), "a higher one is for new lanes");
        assert!(!is_worth_asking(PricePerGib(0), None, asked, at(86_400)), "there is nothing lower");
        // A clock that was set back.
        assert!(!is_worth_asking(price, None, asked, UnixSeconds(1_700_000_000)));
    }
}
