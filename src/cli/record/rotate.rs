//! `record rotate`: a grid moves to another key, step by step; each call does the step that is next and names the one after.

use crate::cli::api::{Api, Successors};
use crate::cli::exit::ExitCode;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::home_arg::HomeArg;
use crate::cli::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{Home, NodeConfig, PUBLIC_MODE, read_key, set_setting, write_atomically};
use crate::keys::GridId;
use crate::record::{DraftFile, GridRecord, KeyDigest, RecordDraft};
use crate::resolver::{Policy, Question};
use crate::store::{load_evidence, load_own_record};
use crate::units::Seconds;
use clap::Args;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long the network may take to say what it holds of the new grid.
const PATIENCE: Duration = Duration::from_secs(10);

/// Move the grid to another key: does the next step, and says what comes after it
///
/// A grid key cannot be exchanged, for it names the grid; but readers follow a grid to a key that it announced beforehand.
/// Make the new grid's key with `grid-manager create`, and type this again after each step: it announces the new key; waits
/// until the new grid's own node has a record that names this grid as its predecessor; and then signs the last record of this
/// grid, which names its successor, for ten years.
///
/// Announce long before you move: a reader follows only if it has seen the announcement.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  clearinghouse record rotate --to pub-v0-… -d node")]
pub(in crate::cli) struct RotateArgs {
    /// The grid id of the new key
    #[arg(long, value_name = "ID")]
    to: GridId,
    /// Where to write the draft of the last record, where the grid key is away from the node
    #[arg(short, long, value_name = "FILE", default_value = "move.toml")]
    output: PathBuf,
    /// Do not ask before the last step: move
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    home: HomeArg,
}

pub(in crate::cli) fn run(args: &RotateArgs, terminal: &Terminal) -> Outcome<()> {
    let (home, config) = args.home.config()?;
    let grid = args.home.grid()?;
    if args.to == grid {
        return Err(Failure::new(ExitCode::Malformed, "--to: this is the grid itself")
            .hint("make a new key with Tahoe's `grid-manager create`, and give the grid id of that"));
    }
    let held = load_own_record(&home, &grid)?.ok_or_else(|| {
        Failure::new(ExitCode::NotFound, format!("there is no record of {grid} in `{}` yet", home.path().display()))
            .hint(format!(
                "publish one first: `clearinghouse status -d {}` says what is missing",
                home.path().display()
            ))
    })?;
    let rotation = Rotation { args, home, config, grid, held };
    terminal.print(&rotation.next_step(terminal)?)
}

struct Rotation<'a> {
    args: &'a RotateArgs,
    home: Home,
    config: NodeConfig,
    grid: GridId,
    held: GridRecord,
}

impl Rotation<'_> {
    fn next_step(&self, terminal: &Terminal) -> Outcome<Step> {
        let to = self.args.to;
        if self.held.signed().withdrawn() {
            return Err(Failure::new(
                ExitCode::Withdrawn,
                format!("the grid {} has withdrawn, and that is final", self.grid),
            ));
        }
        match self.held.successor() {
            Some(successor) if *successor == to => return self.moved(),
            Some(other) => {
                return Err(Failure::new(ExitCode::Refused, format!("the grid has moved to {other} already")).hint(
                    format!("go on from there: `clearinghouse record rotate --to {to} -d DIR`, in its directory"),
                ));
            }
            None => {}
        }
        match self.held.next() {
            Some(next) if next == KeyDigest(to.digest()) => self.move_once_acknowledged(terminal),
            Some(_) => {
                Err(Failure::new(ExitCode::Refused, "another key was announced to follow, and readers follow no other")
                    .hint("rotate to that one; a second announcement would only make the grid contested"))
            }
            None => self.announce(),
        }
    }

    /// Whether the grid key signs at this node.
    fn has_grid_key(&self) -> bool {
        self.config.grid_manager.is_some() && !self.home.delegation().exists()
    }

    fn announce(&self) -> Outcome<Step> {
        let (to, dir) = (self.args.to, self.home.path().display());
        if !self.has_grid_key() {
            let key = read_key(&self.home.publisher_key())?.public();
            let until: String = Clock::system().now().plus(Seconds::days(365)).to_string().chars().take(10).collect();
            return Ok(Step::new(
                "to announce",
                format!("the new key stands in the delegation, which the grid key signs: {to}"),
                [
                    format!(
                        "where the grid key is: clearinghouse delegate {key} --grid-manager GM --until {until} --next {to}"
                    ),
                    format!("here, with the file that this writes: clearinghouse record install FILE -d {dir}"),
                    format!("and then again: clearinghouse record rotate --to {to} -d {dir}"),
                ],
            ));
        }
        set_setting(&self.home.config(), "next", &to.to_string())?;
        let said = match Api::of_running_node(&self.home)? {
            Some(api) => {
                api.reload()?;
                format!("the record says that {to} would follow; the settings have it as `next`")
            }
            None => format!(
                "the settings have {to} as `next`; the record says so once `clearinghouse run -d {dir}` has signed it"
            ),
        };
        Ok(Step::new(
            "announced",
            said,
            [
                "now wait: who has not seen the announcement will not follow. A month reaches most readers".to_owned(),
                format!("and then again: clearinghouse record rotate --to {to} -d {dir}"),
            ],
        ))
    }

    fn move_once_acknowledged(&self, terminal: &Terminal) -> Outcome<Step> {
        let (to, dir, grid) = (self.args.to, self.home.path().display(), self.grid);
        let api = Api::needed(&self.home)?;
        let heir = api.resolve(Question { grid: to, policy: Policy::Fresh, deadline: PATIENCE }, Successors::Followed);
        if !heir.as_ref().is_ok_and(|heir| heir.record.predecessor() == Some(&grid)) {
            let found = match heir {
                Ok(_) => format!("{to} is found, and its record does not name this grid as its predecessor"),
                Err(failure) => format!("{to} is announced, and its own record is not found yet: {}", failure.message),
            };
            let join = api.status()?.addrs.first().map_or_else(|| "ADDR".to_owned(), ToString::to_string);
            return Ok(Step::new(
                "to acknowledge",
                found,
                [
                    format!(
                        "make and start the new grid's node: clearinghouse init NEW_DIR --grid-manager NEW_GM --predecessor {grid} --bootstrap {join}"
                    ),
                    "clearinghouse run -d NEW_DIR".to_owned(),
                    format!("and then again: clearinghouse record rotate --to {to} -d {dir}"),
                ],
            ));
        }
        if !self.has_grid_key() {
            return self.draft();
        }
        if !self.args.yes {
            terminal.confirm(&format!("{grid} becomes {to}, for good"), "move")?;
        }
        set_setting(&self.home.config(), "successor", &to.to_string())?;
        api.reload()?;
        api.publish()?;
        Rotation {
            args: self.args,
            home: self.home.clone(),
            config: self.config.clone(),
            grid,
            held: load_own_record(&self.home, &grid)?.unwrap_or_else(|| self.held.clone()),
        }
        .moved()
    }

    /// The last record, to be signed where the grid key is.
    fn draft(&self) -> Outcome<Step> {
        let (to, dir) = (self.args.to, self.home.path().display());
        let config = NodeConfig { next: Some(to), successor: Some(to), ..self.config.clone() };
        let draft: RecordDraft = config.draft(self.grid, Vec::new());
        let evidence = load_evidence(&self.home, &self.grid);
        let file = DraftFile { draft, previous: Some(self.held.clone()), evidence };
        let output = self.args.output.display();
        write_atomically(&self.args.output, file.to_string().as_bytes(), PUBLIC_MODE)?;
        Ok(Step::new(
            "to move",
            format!("the draft of the last record is `{output}`; the grid key has to sign it"),
            [
                format!("where the grid key is: clearinghouse record sign {output} --grid-manager GM -o last.record"),
                format!("here: clearinghouse record install last.record -d {dir}"),
                format!("and then again: clearinghouse record rotate --to {to} -d {dir}"),
            ],
        ))
    }

    fn moved(&self) -> Outcome<Step> {
        let (to, dir, grid) = (self.args.to, self.home.path().display(), self.grid);
        if self.held.successor() != Some(&to) {
            let hint = format!("`clearinghouse status -d {dir} --check` says what is in the way");
            return Err(Failure::new(ExitCode::Failed, "the last record was not signed").hint(hint));
        }
        let api = Api::needed(&self.home)?;
        let answer = api.resolve(Question { grid, policy: Policy::Fast, deadline: PATIENCE }, Successors::Followed)?;
        let found = *answer.record.grid();
        if found != to {
            return Err(Failure::new(ExitCode::Moved, format!("{grid} leads to {found} and not to {to}")));
        }
        Ok(Step::new("moved", format!("{grid} leads to {to}, until {}", self.held.signed().expires_at()), [
            format!("who holds the last record: clearinghouse status -d {dir}"),
            "once that is enough, stop this node: the holders keep the record; keep its directory, and the old grid key".to_owned(),
        ]))
    }
}

/// A step of the rotation.
#[derive(Serialize)]
struct Step {
    step: &'static str,
    said: String,
    next: Vec<String>,
}

impl Step {
    fn new(step: &'static str, said: String, next: impl IntoIterator<Item = String>) -> Self {
        Self { step, said, next: next.into_iter().collect() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n\nNext:", self.step, self.said)?;
        self.next.iter().try_for_each(|next| writeln!(f, "  {next}"))
    }
}
