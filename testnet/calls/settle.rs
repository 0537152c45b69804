//! Claims, statements and payments, as the operators type them.

use crate::calls::books::bill_between;
use crate::calls::grids::money;
use crate::calls::scenario::{Debt, HandTerms, Settle};
use crate::calls::stage::{CallStage, Seen};
use crate::play::AnyError;
use serde_json::Value;

impl CallStage {
    /// Every operator has claimed what is owed, and records what has been paid: all that is payable, but to those who wait.
    pub(super) async fn settle(&mut self, settle: &Settle) -> Result<String, AnyError> {
        let statements = self.statements().await?;
        let (mut paid, mut amounts) = (0, 0);
        for (grid, of_grid) in statements.iter().enumerate() {
            let own = self.grids.id(grid).to_string();
            for bill in of_grid.iter().filter(|bill| bill["creditor"] == own.as_str() && bill["payable"] != "0") {
                let debtor =
                    self.grids.numbers().find(|other| bill["debtor"] == self.grids.id(*other).to_string().as_str());
                let debtor = debtor.ok_or("a debtor that is no grid of ours")?;
                if settle.unpaid.contains(&(debtor, grid)) {
                    continue;
                }
                amounts += self.pay(debtor, grid, bill).await?;
                paid += 1;
            }
        }
        // Whoever clears has told the others by then.
        self.statements().await?;
        Ok(format!("{paid} debts paid, {} in all", money(amounts)))
    }

    /// The creditor of a bill records that what it says is payable has come; how much that is.
    pub(super) async fn pay(&self, debtor: usize, creditor: usize, bill: &Value) -> Result<u64, AnyError> {
        let payable: u64 = bill["payable"].as_str().unwrap_or_default().parse()?;
        let (debtor, amount) = (self.grids.id(debtor).to_string(), money(payable));
        let words =
            ["statement", "paid", &debtor, &amount, "--reference", "by bank", "--json", "-d", self.grids.dir(creditor)];
        self.grids.ahead.has(&words).await?;
        Ok(payable)
    }

    /// What every grid's statements say once all is claimed and fetched.
    pub(super) async fn statements(&self) -> Result<Vec<Vec<Value>>, AnyError> {
        let all = || futures::future::try_join_all(self.grids.numbers().map(|grid| self.statements_of(grid)));
        self.grids.vouch().await;
        // What others claim comes in with the second round.
        all().await?;
        all().await
    }

    async fn statements_of(&self, grid: usize) -> Result<Vec<Value>, AnyError> {
        // From the first day on: what was brought forward is nothing.
        let words = ["statement", "--now", "--json", "--period", "2020-01-01..2099-01-01", "-d", self.grids.dir(grid)];
        let printed = self.grids.ahead.has(&words).await?;
        Ok(printed["statements"].as_array().cloned().unwrap_or_default())
    }

    /// A creditor that had to wait is paid what is payable.
    pub(super) async fn pay_late(&mut self, debt: &Debt) -> Result<String, AnyError> {
        let Debt { debtor, creditor } = *debt;
        let statements = self.statements().await?;
        let (ours, theirs) = (self.grids.id(creditor).to_string(), self.grids.id(debtor).to_string());
        let bill = bill_between(&statements[creditor], &ours, &theirs).ok_or("nothing was ever charged")?;
        if bill["creditor"] != ours.as_str() {
            return Err(format!("grid {debtor} owes grid {creditor} nothing").into());
        }
        let paid = self.pay(debtor, creditor, bill).await?;
        self.statements().await?;
        Ok(format!("grid {debtor} pays {} to grid {creditor}", money(paid)))
    }

    /// Two grids agree on terms: one proposes, the other accepts.
    pub(super) async fn agree(&self, terms: &HandTerms) -> Result<String, AnyError> {
        let HandTerms { payer, payee, credit, window_mib, settle } = terms;
        let dir = &self.grids.testnet.layout.dir;
        let file = |end: &str| dir.join(format!("{payer}-{payee}.{end}")).display().to_string();
        let (proposal, agreed, window) = (file("proposal"), file("terms"), window_mib.to_string());
        let (other, clearing) = (self.grids.id(*payee).to_string(), self.grids.id(0).to_string());
        let (here, there) = (self.grids.dir(*payer), self.grids.dir(*payee));
        let words = [
            "terms",
            "propose",
            &other,
            "--pays",
            "we",
            "--credit",
            credit,
            "--clearing",
            &clearing,
            "--window",
            &window,
        ];
        self.grids
            .ahead
            .has(&[&words[..], &["--settle", settle, "-o", &proposal, "-d", here, "--json"]].concat())
            .await?;
        self.grids.ahead.has(&["terms", "accept", &proposal, "-o", &agreed, "-d", there, "--json"]).await?;
        // Whoever the other one could not tell takes in what both have signed.
        self.grids.ahead.has(&["terms", "accept", &agreed, "-o", &agreed, "-d", here, "--json"]).await?;
        Ok(format!("grid {payer} may owe grid {payee} {credit}, and leave {window_mib} MiB unvouched"))
    }

    /// The creditor's statement says that something has been due for a while.
    pub(super) async fn overdue(&mut self, debt: &Debt) -> Result<Seen, AnyError> {
        let Debt { debtor, creditor } = *debt;
        let statements = self.statements().await?;
        let (ours, theirs) = (self.grids.id(creditor).to_string(), self.grids.id(debtor).to_string());
        let bill = bill_between(&statements[creditor], &ours, &theirs).ok_or("nothing was ever charged")?;
        let due: u64 = ["to_30_days", "to_60_days", "to_90_days", "older"]
            .iter()
            .filter_map(|days| bill["ageing"][days].as_str()?.parse::<u64>().ok())
            .sum();
        if bill["debtor"] != theirs.as_str() || due == 0 {
            return Ok(Seen::Broken(vec![format!(
                "nothing of grid {debtor}'s debt to grid {creditor} is overdue: {bill}"
            )]));
        }
        Ok(Seen::Held(format!("{} of grid {debtor}'s debt to grid {creditor} is overdue", money(due))))
    }
}
