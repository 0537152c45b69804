//! Ranges, transfers that break off, versions.

use crate::reader::memory::{home, mutable_target};
use crate::reader::tests::place::{Place, Told, content};
use crate::reader::{DownloadError, FloorError, ReadError, SourceError, Target, Trouble, download, unfinished_bytes};
use futures::StreamExt;
use std::fs;
use std::ops::Range;

async fn read(place: &Place, target: &Target, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let file = place.reader.open(target).await?;
    file.read(range).collect_up_to(usize::MAX).await
}

#[tokio::test]
async fn any_range_is_what_lies_there() {
    let place = Place::new();
    let whole = content(10_500);
    let target = place.memory.immutable(home(), 1, &whole, 1000);
    for range in [0..10_500, 0..1, 999..1001, 1000..2000, 10_499..10_500, 3..3, 9_000..99_999, 99_998..99_999] {
        let expected = &whole[(range.start as usize).min(whole.len())..(range.end as usize).min(whole.len())];
        assert_eq!(read(&place, &target, range.clone()).await.unwrap(), expected, "{range:?}");
    }
}

#[tokio::test]
async fn a_long_file_takes_a_page_for_each_thousand_units_and_asks_for_none_twice() {
    let place = Place::new();
    let whole = content(2_500);
    let target = place.memory.immutable(home(), 1, &whole, 1);
    assert_eq!(read(&place, &target, 0..2_500).await.unwrap(), whole);
    assert_eq!(place.memory.asked(), (3, 2_500));
    assert_eq!(read(&place, &target, 2_400..2_500).await.unwrap(), &whole[2_400..]);
    assert_eq!(place.memory.asked(), (3, 2_600));
}

#[tokio::test]
async fn what_is_read_next_is_said_with_the_question_before_it() {
    let place = Place::new();
    let (file, changing) =
        (place.memory.immutable(home(), 1, &content(2_500), 1), place.memory.mutable(home(), 2, 1, &content(2_500)));
    let opened = place.reader.open_before(&file, 10..u64::MAX).await.unwrap();
    assert_eq!(opened.read(10..2_300).collect_up_to(usize::MAX).await.unwrap(), &content(2_500)[10..2_300]);
    // The first page is known by then; each of the next brings what it covers.
    assert_eq!(place.memory.thens(), [Some(10..u64::MAX), Some(1_024..2_048), Some(2_048..2_300)]);
    // The version of a file that changes is asked for again when it is read; who only looks reads nothing.
    let opened = place.reader.open_before(&changing, 0..u64::MAX).await.unwrap();
    opened.read(1_500..1_501).collect_up_to(usize::MAX).await.unwrap();
    place.reader.open(&place.memory.immutable(home(), 3, b"abc", 1)).await.unwrap();
    assert_eq!(place.memory.thens()[3..], [None, Some(1_500..1_501), None]);
}

#[tokio::test]
async fn a_literal_and_an_empty_file_need_no_transfer() {
    let place = Place::new();
    let literal = Target::new(home(), &"URI:LIT:krugkidfnzsc4".parse().unwrap()).unwrap();
    assert_eq!(read(&place, &literal, 0..99).await.unwrap(), b"The end.");
    assert_eq!(read(&place, &literal, 4..7).await.unwrap(), b"end");
    assert_eq!(place.memory.asked(), (0, 0));
    let empty = place.memory.mutable(home(), 1, 1, b"");
    assert_eq!(read(&place, &empty, 0..9).await.unwrap(), b"");
    assert_eq!(place.memory.asked(), (1, 0));
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_at_the_next_unit() {
    let place = Place::new();
    let whole = content(10_000);
    let target = place.memory.immutable(home(), 1, &whole, 1000);
    for units in [3, 0, 0, 2] {
        place.memory.break_after(units, Trouble::Unreachable);
    }
    assert_eq!(read(&place, &target, 500..9_500).await.unwrap(), &whole[500..9_500]);
    // None of the ten units was fetched twice.
    assert_eq!(place.memory.asked().1, 10);
}

#[tokio::test]
async fn attempts_that_bring_nothing_come_to_an_end() {
    let place = Place::new();
    let target = place.memory.immutable(home(), 1, &content(5_000), 1000);
    for units in [2, 0, 0, 0] {
        place.memory.break_after(units, Trouble::Unreachable);
    }
    let error = read(&place, &target, 0..5_000).await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Unreachable);
}

#[tokio::test]
async fn what_is_wrong_is_not_asked_for_again() {
    let place = Place::new();
    let target = place.memory.immutable(home(), 1, &content(5_000), 1000);
    place.memory.break_after(2, Trouble::Integrity);
    let mut pieces = place.reader.open(&target).await.unwrap().read(0..5_000);
    let mut whole = 0;
    let error = loop {
        match pieces.next().await.unwrap() {
            Ok(piece) => whole += piece.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((whole, error.trouble()), (2_000, Trouble::Integrity));
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn a_file_that_changes_under_the_reader_is_not_mixed() {
    let place = Place::new();
    let target = place.memory.mutable(home(), 1, 4, &content(3_000));
    let file = place.reader.open(&target).await.unwrap();
    place.memory.mutable(home(), 1, 5, &content(2_000));
    let error = file.read(0..3_000).collect_up_to(usize::MAX).await.unwrap_err();
    assert!(matches!(error, ReadError::Changed));
}

#[tokio::test]
async fn an_older_version_is_refused_before_a_byte_of_it_is_read() {
    let place = Place::new();
    let target = place.memory.mutable(home(), 1, 4, b"newer");
    assert_eq!(read(&place, &target, 0..9).await.unwrap(), b"newer");
    place.memory.mutable(home(), 1, 3, b"older");
    // Also by another reader of the same directory.
    for reader in [place.reader.clone(), place.memory.reader(place.folder.path())] {
        let error = reader.open(&target).await.unwrap_err();
        assert!(matches!(error, ReadError::Floor(FloorError::RolledBack { found: 3, floor: 4 })));
        assert_eq!(error.trouble(), Trouble::Integrity);
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_kind_and_what_it_offers() {
    let place = Place::new();
    let offers = serde_json::json!([{"kind": "terms"}]);
    let refusal = SourceError { offers: Some(offers), ..SourceError::new(Trouble::Price, "0.02 USD/GiB") };
    place.memory.refuse(refusal.clone());
    let error = place.reader.open(&mutable_target(home(), 9, false)).await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Price);
    assert!(matches!(error, ReadError::Source(error) if error == refusal));
}

#[tokio::test]
async fn a_download_that_failed_goes_on_where_it_was() {
    let place = Place::new();
    let whole = content(10_000);
    let target = place.memory.immutable(home(), 1, &whole, 1000);
    let file = place.reader.open(&target).await.unwrap();
    let path = place.folder.path().join("film.mp4");
    place.memory.break_after(4, Trouble::TooFewShares);
    let told = Told::default();
    let error = download(&file, 500..9_500, &path, &|there| told.tell(there.to_string())).await.unwrap_err();
    assert!(matches!(error, DownloadError::Read(_)) && error.trouble() == Trouble::TooFewShares);
    assert_eq!(told.all().last().unwrap(), "3500");
    assert!(!path.exists());
    let asked = place.memory.asked().1;
    let done = download(&file, 500..9_500, &path, &|_| ()).await.unwrap();
    assert_eq!((done.size, done.resumed_from), (9_000, 3_500));
    assert_eq!(place.memory.asked().1 - asked, 6);
    assert_eq!(fs::read(&path).unwrap(), &whole[500..9_500]);
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_download_of_which_nothing_came_leaves_nothing_behind() {
    let place = Place::new();
    let target = place.memory.immutable(home(), 1, &content(5_000), 1000);
    let file = place.reader.open(&target).await.unwrap();
    let path = place.folder.path().join("film.mp4");
    place.memory.break_after(0, Trouble::TooFewShares);
    assert!(download(&file, 0..5_000, &path, &|_| ()).await.is_err());
    assert_eq!((unfinished_bytes(&path), fs::read_dir(place.folder.path()).unwrap().count()), (0, 0));
    place.memory.break_after(2, Trouble::TooFewShares);
    assert!(download(&file, 0..5_000, &path, &|_| ()).await.is_err());
    assert_eq!(unfinished_bytes(&path), 2_000);
}

#[tokio::test]
async fn a_download_that_was_dropped_leaves_what_it_had() {
    let place = Place::new();
    let whole = content(5_000);
    let target = place.memory.immutable(home(), 1, &whole, 1000);
    let file = place.reader.open(&target).await.unwrap();
    let path = place.folder.path().join("film.mp4");
    let (sender, dropped) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let progress = |there| {
        if there == 2_000 {
            let _ = sender.lock().unwrap().take().unwrap().send(());
        }
    };
    // What is behind the third unit does not come.
    place.memory.hang_after(2);
    tokio::select! {
        _ = download(&file, 0..5_000, &path, &progress) => panic!("it cannot be whole"),
        _ = dropped => {}
    }
    let note = place.folder.path().join(".film.mp4.lafs-part.json");
    while !note.exists() {
        tokio::task::yield_now().await;
    }
    let done = download(&file, 0..5_000, &path, &|_| ()).await;
    // The thread that wrote the note may still hold the file for a moment.
    let done = match done {
        Err(DownloadError::Write(crate::reader::PartError::InUse(_))) => loop {
            if let Ok(done) = download(&file, 0..5_000, &path, &|_| ()).await {
                break done;
            }
        },
        done => done.unwrap(),
    };
    assert_eq!((done.size, done.resumed_from), (5_000, 2_000));
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn a_changed_file_is_fetched_from_its_beginning() {
    let place = Place::new();
    let target = place.memory.mutable(home(), 1, 1, &content(5_000));
    let path = place.folder.path().join("f");
    place.memory.break_after(3, Trouble::Integrity);
    let file = place.reader.open(&target).await.unwrap();
    assert!(download(&file, 0..5_000, &path, &|_| ()).await.is_err());
    let newer: Vec<u8> = content(6_000).into_iter().rev().collect();
    place.memory.mutable(home(), 1, 2, &newer);
    let file = place.reader.open(&target).await.unwrap();
    assert_eq!(download(&file, 0..6_000, &path, &|_| ()).await.unwrap().resumed_from, 0);
    assert_eq!(fs::read(&path).unwrap(), newer);
}
