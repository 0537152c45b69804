//! Paths through directories, and over grids.

use crate::lafs::directory::{DirectoryError, RefusedCap};
use crate::reader::memory::{abroad, home};
use crate::reader::tests::place::Place;
use crate::reader::{CapPath, ChildFault, Found, ReadError, Target, Trouble};

async fn walk(place: &Place, target: &Target, path: &str) -> Result<Found, ReadError> {
    let text = format!("{}/{path}", target.text(&home()));
    place.reader.walk(&CapPath::parse(&text, &home()).unwrap()).await
}

#[tokio::test]
async fn a_path_leads_through_directories_and_keeps_their_grid() {
    let place = Place::new();
    let file = place.memory.immutable(abroad(), 1, b"content", 1000);
    // In its own directory a cap of that grid is bare.
    let inner = place.memory.directory(abroad(), 2, &[("file.txt", &file.text(&abroad()))]);
    let outer = place.memory.mutable_directory(abroad(), 3, 1, &[("inner", &inner.text(&abroad()))]);
    let top = place.memory.mutable_directory(home(), 4, 1, &[("abroad", &format!("ro.{}", outer.text(&home())))]);
    let found = walk(&place, &top, "abroad/inner/file.txt").await.unwrap();
    assert_eq!(found.target, file);
    assert_eq!(found.entry.unwrap().linked_at().unwrap().0, 1_700_000_000);
    let found = walk(&place, &top, "").await.unwrap();
    assert!(found.entry.is_none() && found.target == top);
}

#[tokio::test]
async fn names_are_found_composed_or_not() {
    let place = Place::new();
    let file = place.memory.immutable(home(), 1, b"content", 1000);
    let directory = place.memory.directory(
        home(),
        2,
        &[("Gr\u{fc}\u{df}e", &file.text(&home())), ("e\u{301}", &file.text(&home()))],
    );
    for name in ["Gr\u{fc}\u{df}e", "Gru\u{308}\u{df}e", "e\u{301}", "\u{e9}"] {
        assert_eq!(walk(&place, &directory, name).await.expect(name).target, file);
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_followed_is_named() {
    let place = Place::new();
    let file = place.memory.immutable(home(), 1, b"content", 1000);
    let foreign_write =
        "ro.URI:FOREIGN:*:SSK:u6etxx3ptzfylhmwwguwms5zj4:2fwidhazpw3a7elhnjvld6zylyfii7taapwykujcxkh76vohzvfa";
    let directory = place.memory.mutable_directory(
        home(),
        2,
        1,
        &[("file", &file.text(&home())), ("new", "URI:NEW:x"), ("write", foreign_write)],
    );
    let error = walk(&place, &directory, "none").await.unwrap_err();
    assert!(matches!(&error, ReadError::NoChild { name } if name == "none"));
    assert_eq!(error.trouble(), Trouble::NotFound);
    let error = walk(&place, &directory, "file/below").await.unwrap_err();
    assert!(matches!(&error, ReadError::NotADirectory { name: Some(name) } if name == "file"));
    for (name, fault) in
        [("new", ChildFault::Unknown), ("write", ChildFault::Refused(RefusedCap::ForeignWrite { kind: "SSK" }))]
    {
        let error = walk(&place, &directory, name).await.unwrap_err();
        assert!(matches!(error, ReadError::Child { fault: found, .. } if found == fault));
        assert!(!error.to_string().contains("URI:"), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_is_none_or_too_large_is_refused() {
    let place = Place::new();
    let garbage = place.memory.directory(home(), 1, &[]);
    place.memory.replace(&garbage, b"5:hello,x");
    assert!(matches!(place.reader.list(&garbage).await, Err(ReadError::Directory(_))));
    place.memory.replace(&garbage, &vec![b'x'; (16 << 20) + 1]);
    let asked = place.memory.asked().1;
    // The page of immutable content is remembered: this is another reader.
    let reader = place.memory.reader(place.folder.path());
    assert!(matches!(reader.list(&garbage).await, Err(ReadError::Directory(DirectoryError::TooLarge { .. }))));
    assert_eq!(place.memory.asked().1, asked);
}
