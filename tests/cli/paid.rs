//! A file that has a price, from one grid to a client of another: both hops on lanes, and both books agree.

use crate::place::{Place, at_rest};
use lafs_clearinghouse::keys::{GridId, SecretKey};
use lafs_clearinghouse::ledger::{Ledger, Location, Part};
use lafs_clearinghouse::rate::Asset;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A testnet whose second grid has a price. Stopped when dropped.
pub(crate) struct Testnet {
    process: Child,
    ready: Value,
}

impl Testnet {
    pub(crate) fn up(place: &Place, options: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testnet"));
        command.args(["up", "--json", "--nodes", "2", "--grids", "2", "--files", "--rates", "--dir"]);
        command.arg(place.path("net")).args(options.split_whitespace());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { process, ready: serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")) }
    }

    pub(crate) fn grid(&self, number: usize) -> GridId {
        self.ready["grids"][number]["grid_id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn node_dir(&self, number: usize) -> PathBuf {
        let node = &self.ready["grids"][number]["node"];
        let nodes = self.ready["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|one| one["name"] == *node).unwrap();
        node["dir"].as_str().unwrap().into()
    }

    /// The foreign cap of the first file of a grid that has this name.
    pub(crate) fn cap(&self, number: usize, name: &str) -> String {
        let grid = self.grid(number).to_string();
        let files = self.ready["files"].as_array().unwrap();
        let is_it =
            |file: &&Value| file["name"] == name && file["foreign_cap"].as_str().is_some_and(|cap| cap.contains(&grid));
        files.iter().find(is_it).unwrap()["foreign_cap"].as_str().unwrap().to_owned()
    }

    /// Makes `client` a client of the grid with this number.
    pub(crate) fn join(&self, place: &Place, number: usize, client: &str) {
        let home = self.node_dir(number);
        let home = home.to_str().unwrap();
        let nurl = place.run_words(["gateway", "url", "-d", home]).stdout;
        let joined = place.run_words(["join", nurl.trim(), "-d", client, "--json"]);
        let key: Value = serde_json::from_str(&joined.stdout).unwrap();
        let added = place.run_words(["client", "add", client, key["key"].as_str().unwrap(), "-d", home]);
        assert_eq!(added.status, 0, "{}", added.stderr);
    }
}

impl Drop for Testnet {
    fn drop(&mut self) {
        // Its nodes end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `debtor` owes `creditor` in US dollars by the books of a node.
fn owed(node: &Path, part: Part, debtor: GridId, creditor: GridId) -> i128 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open_reading(Location::Sqlite(node.join("ledger.sqlite"))).await.unwrap();
        let asset = Asset::from_code("USD").unwrap();
        let owed = ledger.owed(part, *debtor.key(), *creditor.key(), asset).await.unwrap();
        ledger.close().await;
        owed
    })
}

#[test]
fn a_file_with_a_price_is_read_after_one_automatic_step_and_both_books_say_what_it_cost() {
    let place = Place::new();
    let testnet = Testnet::up(&place, "");
    testnet.join(&place, 0, "client");
    let cap = testnet.cap(1, "letter.txt");
    let (home, abroad) = (testnet.grid(0), testnet.grid(1));
    let get = |file: &str, max: &[&str]| {
        let words = ["get", &cap, "-o", file, "-d", "client"];
        place.run_words(words.iter().chain(max))
    };

    // Nothing is paid that nobody said, and nothing is fetched for it.
    let quote = place.run_words(["quote", &cap, "-d", "client", "--json"]).json();
    assert_eq!((&quote["price"]["asset"], &quote["decision"]), (&"USD".into(), &"allowed".into()), "{quote}");
    let refused = get("letter.txt", &[]);
    assert_eq!(refused.status, 4, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("5 USD per GiB"), "{}", refused.stderr);
    let refused = get("letter.txt", &["--max-price", "0.000000001 USD"]);
    assert_eq!(refused.status, 4, "{}{}", refused.stdout, refused.stderr);
    assert_eq!(owed(&testnet.node_dir(1), Part::Payee, home, abroad), 0);

    // Of a tree the directories are read to know it, if that may be paid; and one that costs more than may be is told so.
    let tree = testnet.cap(1, "directory");
    let unread = place.run_words(["quote", "-r", &tree, "-d", "client"]);
    assert_eq!(unread.status, 4, "{}{}", unread.stdout, unread.stderr);
    assert!(unread.stderr.contains("directories are read to know what is in them"), "{}", unread.stderr);
    let quote = place.run_words(["quote", "-r", &tree, "--max-price", "1 USD", "-d", "client", "--json"]).json();
    assert_eq!((&quote["files"], &quote["directories"]), (&2.into(), &1.into()), "{quote}");
    let units = |money: &Value| money["amount"].as_str().unwrap().parse::<u64>().unwrap();
    let total = units(&quote["totals"][0]);
    // Three megabytes and a little, at 5 USD for each GiB.
    assert!((13_969_839..14_500_000).contains(&total), "{quote}");
    let get_tree = |folder: &str, max: &str| {
        place.run_words(["get", "-r", &tree, "-o", folder, "--max-price", max, "-d", "client"])
    };
    let refused = get_tree("tree", "0.013 USD");
    assert_eq!(refused.status, 4, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("the tree costs at most 0.0"), "{}", refused.stderr);
    assert!(!place.path("tree").exists());
    let fetched = get_tree("tree", "0.02 USD");
    assert_eq!(fetched.status, 0, "{}{}", fetched.stdout, fetched.stderr);
    assert_eq!(place.read("tree/large.bin").len(), 3_000_000);

    let got = get("letter.txt", &["--max-price", "1 USD"]);
    assert_eq!(got.status, 0, "{}{}", got.stdout, got.stderr);
    let payer = at_rest("what the home owes", || Some(owed(&testnet.node_dir(0), Part::Payer, home, abroad)));
    let payee = owed(&testnet.node_dir(1), Part::Payee, home, abroad);
    assert!(payer > 0, "something is owed");
    assert_eq!(payer, payee);
    // The client's own books say what it was charged; the home's say the same.
    let usage = place.run_words(["usage", "-d", "client", "--json", "--plot", "usage.svg"]).json();
    let charged: u64 = usage["lines"].as_array().unwrap().iter().map(amount).sum();
    assert!(charged > 0, "{usage}");
    let node = testnet.node_dir(0);
    let usage = place.run_words(["usage", "-d", node.to_str().unwrap(), "--json"]).json();
    let to_client = usage["lines"].as_array().unwrap().iter().filter(|line| line["direction"] == "to_client");
    assert_eq!(to_client.map(amount).sum::<u64>(), charged, "{usage}");
    assert!(String::from_utf8(place.read("usage.svg")).unwrap().contains("<rect"));
    for number in [0, 1] {
        let node = testnet.node_dir(number);
        let verified = place.run_words(["ledger", "verify", "-d", node.to_str().unwrap()]);
        assert_eq!(verified.status, 0, "{}{}", verified.stdout, verified.stderr);
    }

    // Ended terms end what stands on them, and are not made again without a person.
    let node_text = node.to_str().unwrap();
    let seller = testnet.node_dir(1);
    let seller = seller.to_str().unwrap();
    let terms = place.run_words(["terms", "list", "-d", seller, "--json"]).json();
    let id = terms["terms"][0]["identity"].as_str().unwrap_or_else(|| panic!("{terms}")).to_owned();
    let ended = place.run_words(["terms", "end", &id, "--reason", "a test", "-d", seller]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    for file in ["after.txt", "once-more.txt"] {
        let refused = get(file, &["--max-price", "1 USD"]);
        assert_eq!(refused.status, 9, "{}{}", refused.stdout, refused.stderr);
    }
    let still = owed(&testnet.node_dir(1), Part::Payee, home, abroad);
    assert_eq!(still, payee, "nothing more was delivered");

    // Of a client, and of whoever works here, who has no membership.
    for client in ["client", "the operator here"] {
        let checked = place.run_words(["policy", "check", client, &cap, "-d", node_text]);
        assert_eq!(checked.status, 0, "{}{}", checked.stdout, checked.stderr);
        assert!(checked.stdout.contains("rule `everybody`: matches and allows"), "{}", checked.stdout);
    }
    let nobody = place.run_words(["policy", "check", "nobody", &cap, "-d", node_text]);
    assert_eq!(nobody.status, 3, "{}{}", nobody.stdout, nobody.stderr);
    assert!(nobody.stderr.contains("you yourself are \"the operator here\""), "{}", nobody.stderr);

    // The operator's rules are read again without a restart.
    let rules = "[[rule]]\nname = \"the rest\"\naction = \"deny\"\nmessage = \"that is a 1-900 number\"\n";
    let policy = std::fs::read_to_string(node.join("policy.toml")).unwrap();
    let (head, _) = policy.split_once("[[rule]]").unwrap();
    std::fs::write(node.join("policy.toml"), format!("{head}{rules}")).unwrap();
    let refused = get("again.txt", &["--max-price", "1 USD"]);
    assert_eq!(refused.status, 4, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("that is a 1-900 number"), "{}", refused.stderr);
    let rates = place.run_words(["rates", &abroad.to_string(), "-d", "client", "--json"]).json();
    assert_eq!(rates["now"][0]["price_per_gib"]["amount"], "5000000000", "{rates}");
}

/// The charge of a line of `usage`.
fn amount(line: &Value) -> u64 {
    line["charge"]["amount"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_operator_pays_at_the_nodes_own_web_address_as_a_client_does_and_no_more_than_the_settings_say() {
    let place = Place::new();
    let testnet = Testnet::up(&place, "");
    let first = testnet.ready["bootstrap"][0].as_str().unwrap().to_owned();
    let network = testnet.ready["network"].as_str().unwrap().to_owned();
    place.grid_manager("gm", 77);
    let words = format!(
        "init own --grid-manager gm --rate free --network {network} --bootstrap {first} --listen 127.0.0.1:0 \
         --allow-private-addresses --gateway-listen 127.0.0.1:0 --web-listen 127.0.0.1:0"
    );
    // Enough for the letter and the directory, and not for the large file.
    let money = ["--credit-limit", "10 USD", "--web-max-price", "0.001 USD"];
    let made = place.run_words(words.split_whitespace().chain(money));
    assert_eq!(made.status, 0, "{}", made.stderr);
    std::fs::copy(testnet.node_dir(0).join("policy.toml"), place.path("own/policy.toml")).unwrap();
    let node = place.start("own");
    let status = place.run("status -d own --wait 60 --json").json();
    let web = status["web_url"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let get = |cap: &str| {
        let mut answer = agent.get(format!("{web}uri/{cap}")).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    // A grid that is not found: that was taken for a gateway without lanes, on which nothing was paid any more.
    let cap = testnet.cap(1, "letter.txt");
    let grid = cap.split(':').nth(2).unwrap();
    let (status, problem) = get(&cap.replace(grid, &GridId::new(SecretKey::from_seed(&[99; 32]).public()).to_string()));
    assert_eq!(status, 404, "{problem}");
    let (status, letter) = get(&cap);
    assert_eq!(status, 200, "{letter}");
    assert!(letter.starts_with("This letter lies on the grid"), "{letter}");
    let (status, problem) = get(&testnet.cap(1, "large.bin"));
    assert_eq!(status, 402, "{problem}");
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!(problem["quote"]["total"]["asset"], "USD", "{problem}");
    assert_eq!(node.terminate(), 0);
    let usage = place.run("usage -d own --json").json();
    let of_operator = usage["lines"].as_array().unwrap().iter().find(|line| line["label"] == "the operator here");
    assert!(of_operator.is_some_and(|line| line["direction"] == "to_client" && amount(line) > 0), "{usage}");
}
