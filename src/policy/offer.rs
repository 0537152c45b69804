//! Whether terms that another grid proposes are accepted without a person.

use crate::policy::file::Policy;
use crate::rate::Asset;
use crate::record::Limit;
use crate::tariff::wire::TermsBody;
use crate::units::{MinorUnits, Seconds, UnixSeconds};

/// For how long terms may bind at most to be accepted without a person.
pub const MAX_ACCEPTED: Seconds = Seconds::days(400);
/// How far the beginning of terms may lie in the past or in the future.
const TOLERANCE: Seconds = Seconds::hours(2);

/// Why a person has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The policy names no limit in that asset.
    #[error("`accept-terms-up-to` names no limit in {0}")]
    Asset(Asset),
    /// More credit than the limit.
    #[error("the credit limit of {} {asset} is above the {limit} of `accept-terms-up-to`", .limit.asset().decimal(.credit.0), asset = .limit.asset())]
    Credit {
        /// What is proposed.
        credit: MinorUnits,
        /// What the policy accepts.
        limit: Limit,
    },
    /// They do not begin now, have ended, or bind for too long.
    #[error("they are for {not_before} to {not_after}: accepted is what begins now and ends within {MAX_ACCEPTED}")]
    Time {
        /// Their beginning.
        not_before: UnixSeconds,
        /// Their end.
        not_after: UnixSeconds,
    },
}

impl Policy {
    /// Whether `terms`, under which we pay, are accepted by themselves: within the limit that the policy states for their asset.
    /// What is accepted is a credit, and no price.
    pub fn accepts(&self, terms: &TermsBody, now: UnixSeconds) -> Result<(), NotAccepted> {
        let limit = self.accept_terms.iter().find(|limit| limit.asset() == terms.asset);
        let limit = *limit.ok_or(NotAccepted::Asset(terms.asset))?;
        if terms.credit_limit > limit.amount() {
            return Err(NotAccepted::Credit { credit: terms.credit_limit, limit });
        }
        let (not_before, not_after) = (terms.not_before, terms.not_after);
        let begins_now = not_before <= now.plus(TOLERANCE) && now <= not_before.plus(TOLERANCE);
        if !begins_now || now >= not_after || not_after > now.plus(MAX_ACCEPTED) {
            return Err(NotAccepted::Time { not_before, not_after });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::wire::fixtures::{NOW, terms_body};

    #[test]
    fn terms_within_the_limit_are_accepted_and_no_others() {
        let policy: Policy = "accept-terms-up-to = [\"10 USD\"]".parse().unwrap();
        assert_eq!(policy.accepts(&terms_body(), NOW), Ok(()));
        let mut dear = terms_body();
        dear.credit_limit.0 += 1;
        assert!(matches!(policy.accepts(&dear, NOW), Err(NotAccepted::Credit { .. })));
        let euro = TermsBody { asset: Asset::from_code("EUR").unwrap(), ..terms_body() };
        assert!(matches!(policy.accepts(&euro, NOW), Err(NotAccepted::Asset(_))));
        for now in [NOW.plus(Seconds::days(1)), NOW.minus(Seconds::days(1)), terms_body().not_after] {
            assert!(matches!(policy.accepts(&terms_body(), now), Err(NotAccepted::Time { .. })));
        }
        assert!(matches!(Policy::free_only().accepts(&terms_body(), NOW), Err(NotAccepted::Asset(_))));
        assert!(Policy::free_only().accepts(&dear, NOW).unwrap_err().to_string().contains("names no limit in USD"));
        let shown = policy.accepts(&dear, NOW).unwrap_err().to_string();
        assert_eq!(shown, "the credit limit of 10.000000001 USD is above the 10 USD of `accept-terms-up-to`");
    }
}
