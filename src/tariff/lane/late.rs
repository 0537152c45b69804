//! How long after its end a lane can be vouched for.

use crate::units::{Seconds, UnixSeconds};

/// For how long where no terms say: a client's lanes, and free ones.
pub const SHOWN_FOR: Seconds = Seconds::days(30);

/// Whether it is too late at `now` for a voucher of a lane that ended at `not_after`, under terms with this dispute period if it
/// is under any. The payer shows none from then on, the payee takes none, and nobody books one.
pub fn is_too_late(not_after: UnixSeconds, dispute: Option<Seconds>, now: UnixSeconds) -> bool {
    now > not_after.plus(dispute.unwrap_or(SHOWN_FOR))
}
