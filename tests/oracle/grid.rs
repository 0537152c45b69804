//! A file that a real grid stored: its cap leads to where its servers keep the shares.

use crate::python;
use lafs_clearinghouse::capability::Capability;

#[test]
fn the_storage_index_we_derive_is_where_real_servers_put_the_shares() {
    let temp = tempfile::tempdir().expect("a folder");
    let (grid, file) = (temp.path().join("grid"), temp.path().join("file"));
    std::fs::write(&file, [7; 10_000]).expect("a file");
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let Some(output) = python::run("../../scripts/tahoe_grid.py", &[&path(&grid), &path(&file)], "") else { return };

    let cap: Capability = output.trim().parse().expect("a cap");
    let index = cap.storage_index().expect("a stored file").to_string();
    for server in 0..3 {
        let shares = grid.join(format!("server{server}/storage/shares")).join(&index[..2]).join(&index);
        assert_eq!(std::fs::read_dir(&shares).expect("the shares' folder").count(), 1, "{}", shares.display());
    }
}
