//! `statement/1` and `payment/1`: the bill of a period, and the creditor's word that it was paid.

use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::record::Nickname;
use crate::signed::{Identity, ObjectType};
use crate::tariff::wire::fields::{Contradiction, fields};
use crate::tariff::wire::one::{Payload, Signed, SignedByOne};
use crate::units::{MinorUnits, UnixSeconds};

fields! {
    /// What one grid owes another after a period. The creditor is the one to whom something is due: there is no negative bill.
    pub struct StatementBody {
        /// Who makes it: the clearing node's grid, or the creditor where there is none.
        0 issuer: GridId,
        /// The key that signs.
        1 signer: PublicKey,
        /// Who is paid.
        2 creditor: GridId,
        /// Who pays.
        3 debtor: GridId,
        /// What amounts are counted in.
        4 asset: Asset,
        /// The first second of the period.
        5 from: UnixSeconds,
        /// The first second after it.
        6 until: UnixSeconds,
        /// The last position of the period; left out where there is no clearing node.
        7 position: Option<Identity>,
        /// What was left from the period before, its remainder of rounding included.
        8 brought_forward: MinorUnits,
        /// What the creditor has charged in the period.
        9 charged: MinorUnits,
        /// What the debtor has charged in the period, set off.
        10 set_off: MinorUnits,
        /// What was paid or netted in the period.
        11 settled: MinorUnits,
        /// What is to be paid: a whole number of payable units.
        12 payable: MinorUnits,
        /// The remainder, less than one payable unit.
        13 carried: MinorUnits,
    }
}

fields! {
    /// A creditor's word that a debtor has paid.
    pub struct PaymentBody {
        /// Who was paid.
        0 creditor: GridId,
        /// The key that signs.
        1 signer: PublicKey,
        /// Who paid.
        2 debtor: GridId,
        /// In what.
        3 asset: Asset,
        /// How much.
        4 amount: MinorUnits,
        /// When it was recorded, in Unix milliseconds or one more than the one before: two equal payments are two.
        5 serial: u64,
        /// When it arrived.
        6 paid_at: UnixSeconds,
        /// What the two find it by in their bank's books.
        7 reference: Nickname,
        /// The statement that it pays; left out if none.
        8 statement: Option<Identity>,
    }
}

/// A verified statement.
pub type Statement = Signed<StatementBody>;
/// A verified payment.
pub type Payment = Signed<PaymentBody>;

impl StatementBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        let sum = |amounts: &[MinorUnits]| amounts.iter().map(|amount| u128::from(amount.0)).sum::<u128>();
        match self {
            _ if self.creditor == self.debtor => Err(("debtor", "nobody owes himself")),
            _ if self.until <= self.from => Err(("until", "the period ends before it begins")),
            _ if sum(&[self.brought_forward, self.charged])
                != sum(&[self.set_off, self.settled, self.payable, self.carried]) =>
            {
                Err(("payable", "the bill does not add up"))
            }
            _ => Ok(()),
        }
    }
}

impl PaymentBody {
    fn contradiction(&self) -> Result<(), Contradiction> {
        match self {
            _ if self.creditor == self.debtor => Err(("debtor", "nobody pays himself")),
            _ if self.amount.0 == 0 => Err(("amount", "a payment of nothing")),
            _ if self.asset.is_free() => Err(("asset", "free is not paid")),
            _ => Ok(()),
        }
    }
}

impl Payload for StatementBody {
    const TYPE: ObjectType = ObjectType::Statement;
    /// 5 keys and hashes of 35, 90 for the rest, the envelope, and room for new words.
    const MAX_BYTES: usize = 512;
}

impl Payload for PaymentBody {
    const TYPE: ObjectType = ObjectType::Payment;
    /// 4 keys and hashes of 35, a reference of 67, 40 for the rest, the envelope, and room for new words.
    const MAX_BYTES: usize = 512;
}

impl SignedByOne for StatementBody {
    fn owner(&self) -> &[u8; 32] {
        self.issuer.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}

impl SignedByOne for PaymentBody {
    fn owner(&self) -> &[u8; 32] {
        self.creditor.as_bytes()
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }
}
