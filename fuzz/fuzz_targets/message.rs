//! Questions and answers of `record/1`: what a stream may carry before anybody knows who sent it.
#![no_main]

use lafs_clearinghouse::dht::message::{
    Body, MAX_EVIDENCE, MAX_NEARER, MAX_PAGE_BYTES, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Request, Response,
    SERVERS_PER_PAGE,
};
use lafs_clearinghouse::dht::server::Server;
use lafs_clearinghouse_fuzz::has_one_form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() <= MAX_REQUEST_BYTES {
        question(data);
    }
    if data.len() <= MAX_PAGE_BYTES {
        answer(data);
    }
});

fn question(data: &[u8]) {
    let Ok(request) = Request::decode(data) else { return };
    has_one_form(data);
    let Some(request) = request else { return };
    let encoded = request.encode();
    assert!(encoded.len() <= data.len(), "nothing is said that was not asked");
    assert_eq!(Request::decode(&encoded), Ok(Some(request)));
}

fn answer(data: &[u8]) {
    let Ok(response) = Response::decode(data) else { return };
    has_one_form(data);
    let paged = matches!(response.body, Body::Digest { .. } | Body::Bucket { .. } | Body::Fetched { .. });
    let limit = if paged { MAX_PAGE_BYTES } else { MAX_RESPONSE_BYTES };
    assert!(data.len() <= limit, "{} bytes were read", data.len());
    match &response.body {
        Body::Found { evidence, nearer, .. } => assert!(evidence.len() <= MAX_EVIDENCE && nearer.len() <= MAX_NEARER),
        Body::Servers { page, .. } => assert!(page.len() <= SERVERS_PER_PAGE),
        _ => {}
    }
    let encoded = response.encode();
    assert!(encoded.len() <= limit, "{} bytes would be sent", encoded.len());
    let again = Response::decode(&encoded).expect("own words");
    assert_eq!(again.time, response.time);
    assert_eq!(again.encode(), encoded, "one form");
    // Servers of which no address was understood are not passed on, nor what does not fit.
    let dropped = |servers: &[Server]| servers.iter().any(|server| server.addrs.is_empty());
    match (&response.body, &again.body) {
        (Body::Found { nearer, .. }, _) | (Body::Servers { page: nearer, .. }, _) if dropped(nearer) => {}
        (Body::Fetched { rows: before }, Body::Fetched { rows: after }) => assert!(before.starts_with(after)),
        (before, after) => assert_eq!(before, after),
    }
}
