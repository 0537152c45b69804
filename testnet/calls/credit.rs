//! A grid that pays late: its clients read on its credit until that is used up.

use crate::calls::grids::money;
use crate::calls::reading::Which;
use crate::calls::scenario::CreditRefused;
use crate::calls::stage::{CallStage, Seen};
use crate::play::AnyError;
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::record::Limit;

/// How many large files are read at most before the credit must be used up.
const READS: usize = 40;

impl CallStage {
    /// Clients of the payer read until the payee gives no more credit: then it is owed no more than that.
    pub(super) async fn credit_refused(&mut self, expected: &CreditRefused) -> Result<Seen, AnyError> {
        let CreditRefused { payer, payee, ref credit } = *expected;
        let limit: Limit = credit.parse()?;
        let reader = self.readers.all.iter().position(|reader| reader.home == payer).ok_or("the grid has no client")?;
        for read in 0..READS {
            let call = self.call(reader, payee, Which::Large);
            let number = self.reading.numbers(1);
            match self.readers.try_read(self.grids.ahead, &call, number).await? {
                Ok(fetched) => self.reading.count(&call, fetched),
                Err(refused) => {
                    self.reading.count_refused(&call);
                    let owed = self.owed(payee, Part::Payee, payer, payee).await?;
                    let mut faults = Vec::new();
                    if !refused.contains("owed and not settled") {
                        faults.push(format!("the refusal does not speak of credit: {refused}"));
                    }
                    if owed > i128::from(limit.amount().0) {
                        faults.push(format!("grid {payer} owes {owed}, which is more than {credit}"));
                    }
                    if owed * 2 < i128::from(limit.amount().0) {
                        faults.push(format!("grid {payer} owes {owed} only, of {credit}, and is refused"));
                    }
                    let owed = money(u64::try_from(owed).unwrap_or_default());
                    let held =
                        format!("after {read} files grid {payer} owes grid {payee} {owed} of {credit}, and is refused");
                    return Ok(if faults.is_empty() { Seen::Held(held) } else { Seen::Broken(faults) });
                }
            }
        }
        Ok(Seen::Broken(vec![format!("{READS} files were read on a credit of {credit}")]))
    }
}
