//! What gateways have delivered to each other is claimed and billed, and the bill is paid: by the programs alone.

use crate::place::eventually;
use crate::priced::{Priced, ok};

#[test]
fn a_file_that_was_read_is_on_the_bill_of_both_grids_and_paid() {
    let priced = Priced::start(8 << 20, "5 USD/GiB");
    priced.agree_on_terms("10 USD", 4);
    ok(priced.get("file"));
    let (_, owed) = priced.agree();
    let bill = |dir: &str| {
        eventually("a statement", || {
            let statement = priced.place.run(&format!("statement --now -d {dir} --json"));
            (statement.status == 0).then(|| statement.json()["statements"][0].clone()).filter(|bill| bill.is_object())
        })
    };
    let ours = bill("abroad");
    assert_eq!(ours, bill("home"));
    // Whole cents are payable, and the rest is carried forward.
    let (payable, carried) = (owed / 10_000_000 * 10_000_000, owed % 10_000_000);
    let amounts = |name: &str| ours[name].as_str().unwrap().parse::<i128>().unwrap();
    assert_eq!((amounts("charged"), amounts("payable"), amounts("carried")), (owed, payable, carried), "{ours}");
    assert!(payable > 0);

    let words = ["statement", "paid", &priced.home.grid.to_string(), "-d", "abroad", "--reference", "RF18-5390"];
    let cents = format!("0.{:02} USD", payable / 10_000_000);
    ok(priced.place.run_words(words.iter().copied().chain([cents.as_str()])));
    for dir in ["abroad", "home"] {
        eventually("it is settled", || {
            let bill = bill(dir);
            (bill["settled"] == payable.to_string() && bill["payable"] == "0").then_some(())
        });
        ok(priced.place.run(&format!("ledger verify -d {dir}")));
    }
    assert_eq!(priced.owed_abroad(), (carried, carried));
}
