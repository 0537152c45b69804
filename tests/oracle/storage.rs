//! Real storage servers, found by what a real node's folder says of them and read over HTTPS.

mod network {
    use crate::tahoe_nodes::TahoeNodes;
    use lafs_clearinghouse::capability::StorageIndex;
    use lafs_clearinghouse::clock::Clock;
    use lafs_clearinghouse::grid::{Grid, GridSettings, NotBlessed, ServerError, ShareKind, Standing, StorageServer};
    use lafs_clearinghouse::keys::SecretKey;
    use lafs_clearinghouse::units::Seconds;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    const FILE_BYTES: usize = 3_000_000;
    /// Before a share's first octet on a server's disk.
    const CONTAINER_HEADER_BYTES: usize = 12;

    fn opened(node_dir: &Path, clock: Clock) -> Grid {
        Grid::open(GridSettings::new(node_dir), clock).expect("a node's folder")
    }

    fn standings(grid: &Grid) -> Vec<Standing> {
        grid.listed().iter().map(|listed| listed.standing).collect()
    }

    /// The number of the one share that a server has on its disk, and its octets with all that follows them there.
    fn share_on_disk(server_dir: &Path, index: &StorageIndex) -> (u16, Vec<u8>) {
        let name = index.to_string();
        let folder = server_dir.join("storage/shares").join(&name[..2]).join(&name);
        let paths: Vec<PathBuf> =
            fs::read_dir(folder).expect("shares").map(|entry| entry.expect("one").path()).collect();
        assert_eq!(paths.len(), 1, "{paths:?}");
        let number = paths[0].file_name().and_then(|name| name.to_str()).expect("a name").parse().expect("a number");
        (number, fs::read(&paths[0]).expect("a share").split_off(CONTAINER_HEADER_BYTES))
    }

    /// A node's folder of its own with the first server of the grid in its `servers.yaml`, its NURL changed so.
    fn node_with_one_server(nodes: &TahoeNodes, change: impl Fn(&str) -> String) -> tempfile::TempDir {
        let cache = nodes.described.client.dir.join("private/introducer_default_cache.yaml");
        let cache = fs::read_to_string(cache).expect("a cache");
        let (start, _) = cache
            .match_indices("pb://")
            .find(|(at, _)| cache[*at..].lines().next().is_some_and(|line| line.ends_with("#v=1")))
            .expect("a NURL");
        let nurl = change(cache[start..].lines().next().expect("a line"));
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("private")).expect("a folder");
        let id = nodes.described.servers[0].id;
        let list = format!("storage: {{{id}: {{ann: {{nickname: one, anonymous-storage-NURLs: [\"{nurl}\"]}}}}}}\n");
        fs::write(dir.path().join("private/servers.yaml"), list).expect("a file");
        dir
    }

    async fn read(
        server: &StorageServer,
        index: &StorageIndex,
        share: u16,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, ServerError> {
        server.read(ShareKind::Immutable, index, share, offset, length).await.map(Vec::from)
    }

    #[tokio::test]
    async fn real_servers_are_found_blessed_listed_and_read() {
        let Some(nodes) = TahoeNodes::start() else { return };
        let file: Vec<u8> = (0..FILE_BYTES).map(|i| (i / 7) as u8).collect();
        let index = nodes.put(&file).storage_index().expect("a stored file");

        let grid = opened(&nodes.described.client.dir, Clock::system());
        assert_eq!(grid.faults(), Vec::<String>::new());
        assert_eq!(grid.managers(), [*nodes.described.grid_id.key()]);
        assert_eq!(standings(&grid), [Standing::Used; 3]);
        let servers = grid.servers();

        for server in &servers {
            let known = nodes.described.servers.iter().find(|known| known.id == *server.id()).expect("a known server");
            let (number, on_disk) = share_on_disk(&known.dir, &index);
            assert_eq!(server.shares(ShareKind::Immutable, &index).await.expect("a list"), [number]);
            // Whatever follows the share on the disk is not given out.
            let whole = read(server, &index, number, 0, on_disk.len() as u64).await.expect("the share");
            assert!(
                whole.len() > FILE_BYTES / 2 && on_disk.starts_with(&whole),
                "{} of {}",
                whole.len(),
                on_disk.len()
            );

            let length = whole.len() as u64;
            assert_eq!(read(server, &index, number, 1_000, 100_000).await.expect("a part"), whole[1_000..101_000]);
            assert_eq!(read(server, &index, number, length - 5, 100).await.expect("the end"), whole[whole.len() - 5..]);
            assert_eq!(read(server, &index, number, length, 100).await.expect("past the end"), Vec::<u8>::new());
            let none = read(server, &index, number + 1, 0, 100).await;
            assert!(matches!(none, Err(ServerError::NoSuchShare)), "{none:?}");
            assert_eq!(server.health().consecutive_failures, 0);
        }

        let unknown = StorageIndex::new([7; 16]);
        assert_eq!(servers[0].shares(ShareKind::Immutable, &unknown).await.expect("a list"), Vec::<u16>::new());
        assert_eq!(servers[0].shares(ShareKind::Mutable, &unknown).await.expect("a list"), Vec::<u16>::new());
        let absent = read(&servers[0], &unknown, 0, 0, 1).await;
        assert!(matches!(absent, Err(ServerError::NoSuchShare)), "{absent:?}");

        // Many at once, of which some wait for the others.
        let server: Arc<StorageServer> = servers[0].clone();
        let (number, on_disk) = share_on_disk(
            &nodes.described.servers.iter().find(|known| known.id == *server.id()).expect("one").dir,
            &index,
        );
        let parts = (0..30).map(|i| {
            let server = server.clone();
            tokio::spawn(async move { read(&server, &index, number, i * 10_000, 10_000).await })
        });
        for (i, part) in parts.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(part.await.expect("no panic").expect("a part"), on_disk[i * 10_000..][..10_000], "{i}");
        }
    }

    #[tokio::test]
    async fn a_server_that_the_grid_manager_has_not_taken_in_or_no_longer_is_not_used() {
        let Some(nodes) = TahoeNodes::start() else { return };
        let dir = &nodes.described.client.dir;
        // The certificates are for a year.
        let later = opened(dir, Clock::with_offset(Seconds::days(366).0 as i64));
        assert!(
            standings(&later).iter().all(|standing| matches!(standing, Standing::NotBlessed(NotBlessed::Expired(_))))
        );
        assert!(later.servers().is_empty());

        // A server's own folder knows the others too, and trusts nobody in particular.
        let server_dir = &nodes.described.servers[0].dir;
        assert_eq!(opened(server_dir, Clock::system()).managers(), []);
        let mut settings = GridSettings::new(server_dir);
        settings.managers = vec![SecretKey::generate().public()];
        let strangers = Grid::open(settings, Clock::system()).expect("a node's folder");
        assert!(strangers.servers().is_empty());
        assert!(
            standings(&strangers).iter().all(|standing| *standing == Standing::NotBlessed(NotBlessed::OtherManager))
        );

        let bare = node_with_one_server(&nodes, str::to_owned);
        assert_eq!(opened(bare.path(), Clock::system()).servers().len(), 1);
        let mut settings = GridSettings::new(bare.path());
        settings.managers = vec![*nodes.described.grid_id.key()];
        let unblessed = Grid::open(settings, Clock::system()).expect("a node's folder");
        assert_eq!(standings(&unblessed), [Standing::NotBlessed(NotBlessed::NoCertificate)]);
    }

    #[tokio::test]
    async fn a_real_server_with_another_key_or_another_secret_gives_nothing() {
        let Some(nodes) = TahoeNodes::start() else { return };
        let index = StorageIndex::new([7; 16]);
        let ask = async |change: fn(&str) -> String| {
            let dir = node_with_one_server(&nodes, change);
            opened(dir.path(), Clock::system()).servers()[0].shares(ShareKind::Immutable, &index).await
        };
        assert_eq!(ask(str::to_owned).await.expect("a list"), Vec::<u16>::new());
        let other_key = ask(|nurl| format!("pb://{}{}", "A".repeat(43), &nurl[48..])).await;
        assert!(matches!(other_key, Err(ServerError::WrongKey)), "{other_key:?}");
        let other_secret =
            ask(|nurl| format!("{}/{}#v=1", nurl.rsplit_once('/').expect("a stroke").0, "a".repeat(32))).await;
        assert!(matches!(other_secret, Err(ServerError::Refused)), "{other_secret:?}");
    }
}
