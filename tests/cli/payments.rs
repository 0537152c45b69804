//! Payments, which move out of band and are recorded by hand: what may be a mistake is asked about, and what is not paid ages.

use crate::priced::ok;
use crate::trio::{CENTS, GIB, NewLane, Trio, cents};
use lafs_clearinghouse::ledger::Part;
use lafs_clearinghouse::units::Seconds;
use serde_json::{Value, json};

#[test]
fn a_payment_that_may_be_a_mistake_is_asked_about_and_what_is_not_paid_ages() {
    let mut trio = Trio::start();
    let terms = trio.agree("payer", "payee", &["--settle", "7d"]);
    trio.deliver(&NewLane::between("payer", "payee", &terms, 1), 5 * GIB);
    trio.bill("payee", "payer", |bill| bill["payable"] == cents(5));
    trio.bill("payer", "payee", |bill| bill["payable"] == cents(5));
    let (payer, payee) = (trio.grid("payer").to_string(), trio.grid("payee").to_string());
    let paid = |trio: &Trio, dir: &str, grid: &str, amount: &str, more: &[&str]| {
        trio.types(&[&["statement", "paid", grid, amount, "--reference", "RF18", "-d", dir], more].concat())
    };
    // By the wrong side, in another asset, more than is owed, and nobody sits at a terminal.
    for (dir, grid, amount, says) in [
        ("payer", &payee, "0.02 USD", "owes this grid nothing in USD"),
        ("payee", &payer, "0.02 EUR", "owes this grid nothing in EUR"),
        ("payee", &payer, "5 USD", "owes this grid 0.1 USD by the books here, and 5 USD is more"),
    ] {
        let refused = paid(&trio, dir, grid, amount, &[]);
        assert!(refused.status == 4 && refused.stderr.contains(says), "{amount}: {}", refused.stderr);
        assert!(refused.stderr.contains("`--yes`"), "{amount}: {}", refused.stderr);
    }
    let owed = |trio: &Trio| {
        let parts = [("payer", Part::Payer), ("payee", Part::Payee), ("third", Part::Clearing)];
        parts.map(|(keeper, part)| trio.owed(keeper, part, "payer", "payee"))
    };
    assert_eq!(owed(&trio), [i128::from(5 * CENTS); 3], "nothing was recorded");
    // What is recorded twice on one day is asked about too, and is another payment if it is one.
    ok(paid(&trio, "payee", &payer, "0.02 USD", &[]));
    let twice = paid(&trio, "payee", &payer, "0.02 USD", &[]);
    assert!(twice.status == 4 && twice.stderr.contains("are recorded already"), "{}", twice.stderr);
    ok(paid(&trio, "payee", &payer, "0.02 USD", &["--yes"]));
    trio.bill("payer", "payee", |bill| bill["payable"] == cents(3));
    assert_eq!(owed(&trio), [i128::from(3 * CENTS); 3]);

    // It is due a settlement interval after it was booked: for so many days then.
    let ageing = |trio: &Trio, dir: &str| {
        let printed = ok(trio.run(&format!("statement --period 2020-01-01..2099-01-01 -d {dir} --json"))).json();
        let bill: &Value = &printed["statements"][0];
        let of = |days: &str| bill["ageing"][days].clone();
        (of("not_due"), of("to_30_days"), of("to_60_days"), of("to_90_days"), of("older"), of("overdue_days"))
    };
    let (nothing, all) = (json!("0"), json!((3 * CENTS).to_string()));
    let none = || nothing.clone();
    for dir in ["payer", "payee", "third"] {
        assert_eq!(ageing(&trio, dir), (all.clone(), none(), none(), none(), none(), Value::Null), "{dir}");
    }
    for (days, overdue) in [(6, None), (8, Some(1)), (37, Some(30)), (70, Some(63)), (200, Some(193))] {
        trio.type_ahead(Seconds::days(days));
        let in_bucket = |from: u64, to: u64| match overdue {
            Some(overdue) if (from..to).contains(&overdue) => all.clone(),
            _ => none(),
        };
        let expected = (
            if overdue.is_none() { all.clone() } else { none() },
            in_bucket(0, 30),
            in_bucket(30, 60),
            in_bucket(60, 90),
            in_bucket(90, u64::MAX),
            overdue.map_or(Value::Null, |days| json!(days)),
        );
        for dir in ["payer", "payee", "third"] {
            assert_eq!(ageing(&trio, dir), expected, "{dir} after {days} days");
        }
    }
    let text = ok(trio.run("statement --period 2020-01-01..2099-01-01 -d payee")).stdout;
    assert!(
        text.contains("due longer       0.06 USD") && text.contains("overdue          for 193 days, since "),
        "{text}"
    );

    // More than is owed is owed back.
    trio.type_ahead(Seconds(0));
    ok(paid(&trio, "payee", &payer, "0.1 USD", &["--yes"]));
    let back = trio.bill("payer", "payee", |bill| bill["debtor"] == payee.as_str());
    assert_eq!((&back["payable"], &back["creditor"]), (&json!((2 * CENTS).to_string()), &json!(payer)), "{back}");
    assert_eq!(owed(&trio), [-i128::from(2 * CENTS); 3]);
    trio.are_proved();
}
