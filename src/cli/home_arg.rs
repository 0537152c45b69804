//! `-d DIR`: the data directory that a command works in.

use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::config::{ClientConfig, GridManager, Home, NodeConfig};
use crate::keys::GridId;
use crate::ledger::Location;
use crate::store::read_format;
use clap::Args;
use std::path::PathBuf;

/// The data directory of a node or a client.
#[derive(Debug, Clone, Args)]
pub(super) struct HomeArg {
    /// The data directory [default: lafs-clearinghouse under $XDG_STATE_HOME or ~/.local/state]
    #[arg(short = 'd', long = "dir", value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl HomeArg {
    /// The directory that was named, or the user's own.
    pub(super) fn home(&self) -> Outcome<Home> {
        match &self.dir {
            Some(dir) => Ok(Home::new(dir)),
            None => Home::of_user(|name| std::env::var_os(name)).ok_or_else(|| {
                Failure::new(ExitCode::Malformed, "neither $XDG_STATE_HOME nor $HOME names a folder for the data")
                    .hint("name a data directory with `-d DIR`")
            }),
        }
    }

    /// The settings of a directory that `init` made.
    pub(super) fn config(&self) -> Outcome<(Home, NodeConfig)> {
        let home = self.home()?;
        // First, because a newer program's settings may have keys that this one would only call unknown.
        read_format(&home)?;
        let config = NodeConfig::read(&home.config()).map_err(|error| {
            let failure = Failure::from(error);
            let dir = home.path().display();
            match failure.exit {
                // Who is a client has a bill of its home, and that has none of it.
                ExitCode::NotFound if home.client().exists() => failure.hint(format!(
                    "`{dir}` is a client's directory, and this is for a node's: `clearinghouse usage -d {dir}` says what was read and \
                     what it cost"
                )),
                ExitCode::NotFound => {
                    failure.hint(format!("make the data directory with `clearinghouse init {dir} …`"))
                }
                _ => failure,
            }
        })?;
        Ok((home, config))
    }

    /// Where the books of the directory's node are.
    pub(super) fn ledger(&self) -> Outcome<Location> {
        let home = self.home()?;
        // Books whose settings are gone can still be read.
        if !home.config().exists() {
            return Ok(Location::Sqlite(home.ledger()));
        }
        let (home, config) = self.config()?;
        Ok(Location::of_node(&home, &config)?)
    }

    /// The grid that is at home in the directory: its node's, or that of the home gateway that it has joined.
    pub(super) fn home_grid(&self) -> Outcome<GridId> {
        let home = self.home()?;
        match ClientConfig::find(&home.client())? {
            Some(client) if !home.config().exists() => Ok(client.home_grid_id),
            _ => self.grid(),
        }
    }

    /// The grid that the directory's node speaks for, if the directory and the grid are there.
    pub(super) fn grid(&self) -> Outcome<GridId> {
        let (home, config) = self.config()?;
        if let Some(grid) = config.grid_id {
            return Ok(grid);
        }
        if let Some(path) = &config.grid_manager {
            return Ok(GridManager::open(path)?.grid_id());
        }
        let message = format!("`{}` names no grid", home.config().display());
        Err(Failure::new(ExitCode::Malformed, message)
            .hint("name the grid with `--grid ID`, or set `grid-id` in that file"))
    }
}
