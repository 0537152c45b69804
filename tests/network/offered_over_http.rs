//! What is PUT to the resolver address gets its true verdict, as a status.

use super::web::{Asker, at_rate, draft, open_node, path, signed};
use data_encoding::BASE64URL_NOPAD;
use lafs_clearinghouse::record::RecordDraft;
use lafs_clearinghouse::units::Seconds;

#[tokio::test(flavor = "multi_thread")]
async fn each_verdict_has_its_status() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let now = federation.clock.now();
    let (old, new) = (signed(1, &at_rate(1, "free"), now.minus(Seconds(60))), signed(1, &at_rate(1, "free"), now));
    let grid = *old.grid();

    let first = asker.put(&old).await;
    assert_eq!((first.status, &first.json()["verdict"]), (201, &"stored".into()));
    let again = asker.put(&old).await;
    assert_eq!((again.status, &again.json()["verdict"]), (200, &"held".into()));
    let newer = asker.put(&new).await;
    assert_eq!((newer.status, &newer.json()["verdict"]), (200, &"stored".into()));
    assert_eq!(asker.get(&path(&grid)).await.body, new.signed().bytes());

    let stale = asker.put(&old).await;
    assert_eq!((stale.status, stale.problem().as_str()), (409, "refused"));
    let attached = stale.json()["record_base64url"].as_str().unwrap().to_owned();
    assert_eq!(BASE64URL_NOPAD.decode(attached.as_bytes()).unwrap(), new.signed().bytes());

    let mut altered = new.signed().bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let expired = signed(2, &draft(2), now.minus(Seconds::days(8)));
    let early = signed(3, &draft(3), now.plus(Seconds::hours(3)));
    for (grid, bytes, status, code) in [
        (&grid, &altered[..], 422, "integrity"),
        (draft(9).grid_ref(), new.signed().bytes(), 422, "integrity"),
        (early.grid(), early.signed().bytes(), 422, "refused"),
        (expired.grid(), expired.signed().bytes(), 410, "expired"),
        (&grid, b"\x84nonsense", 400, "malformed"),
        (&grid, b"", 400, "malformed"),
        (&grid, &[0; 996], 413, "malformed"),
        (&grid, &[0; 100_000], 413, "malformed"),
    ] {
        let refused = asker.put_bytes(grid, bytes).await;
        assert_eq!((refused.status, refused.problem().as_str()), (status, code), "{}", refused.text());
    }
    assert_eq!(asker.get(&path(&grid)).await.body, new.signed().bytes(), "what was refused changed nothing");

    let end = RecordDraft { withdrawn: true, ..draft(1) };
    let end = signed(1, &end, now.plus(Seconds(1)));
    assert_eq!(asker.put(&end).await.status, 200);
    let after = signed(1, &at_rate(1, "free"), now.plus(Seconds(60)));
    let ended = asker.put(&after).await;
    assert_eq!((ended.status, ended.problem().as_str()), (410, "withdrawn"));
    let proof = ended.json()["record_base64url"].as_str().unwrap().to_owned();
    assert_eq!(BASE64URL_NOPAD.decode(proof.as_bytes()).unwrap(), end.signed().bytes());
}

trait GridRef {
    fn grid_ref(&self) -> &lafs_clearinghouse::keys::GridId;
}

impl GridRef for RecordDraft {
    fn grid_ref(&self) -> &lafs_clearinghouse::keys::GridId {
        &self.grid
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_records_are_taken_and_only_at_grids() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let record = signed(1, &draft(1), federation.clock.now());
    let line = format!("PUT {}", path(record.grid()));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let refused = asker.ask(&line, &form, record.signed().bytes()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (415, "malformed"));
    let untyped = asker.ask(&line, &[], record.signed().bytes()).await;
    assert_eq!(untyped.status, 201, "as `curl -T` sends it");
    for (line, allowed) in [
        (format!("POST {}", path(record.grid())), "GET,HEAD,PUT"),
        (format!("DELETE {}", path(record.grid())), "GET,HEAD,PUT"),
        (format!("PUT {}/evidence/1", path(record.grid())), "GET,HEAD"),
    ] {
        let refused = asker.ask(&line, &[], b"").await;
        assert_eq!((refused.status, refused.problem().as_str()), (405, "malformed"), "{line}");
        let mut methods: Vec<&str> = refused.header("allow").split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_grids_from_one_network_are_a_hundred_and_updates_pass_freely() {
    let federation = open_node(false).await;
    let asker = Asker::of_strangers(&federation.nodes[0].node);
    let now = federation.clock.now();
    // From several addresses of one /24, so that no other bound is met before.
    let from = |n: u16, network: u8| Asker { from: [127, 0, network, (n % 200) as u8 + 1].into(), ..asker };
    let mut refused = None;
    for n in 0..200_u16 {
        let reply = patient(&from(n, 3), &signed(n, &draft(n), now.minus(Seconds(60)))).await;
        if reply.status != 201 {
            refused = Some((n, reply));
            break;
        }
    }
    let (n, reply) = refused.unwrap();
    assert_eq!((n, reply.status, reply.problem().as_str()), (100, 429, "refused"));
    assert_eq!(reply.header("retry-after"), "60");
    assert!(reply.json()["detail"].as_str().unwrap().contains("new grids"));
    assert_eq!(patient(&from(1, 3), &signed(1, &draft(1), now)).await.status, 200, "an update is no new grid");
    assert_eq!(patient(&from(1, 4), &signed(n, &draft(n), now)).await.status, 201, "another network is not held up");
}

/// Offers a record, and again after a while where its network has asked too much.
async fn patient(asker: &Asker, record: &lafs_clearinghouse::record::GridRecord) -> super::web::Reply {
    super::federation::eventually(async || {
        Some(asker.put(record).await).filter(|reply| reply.status != 429 || reply.text().contains("new grids"))
    })
    .await
}
