//! `penstock dlq`: dead letters, to look at, to send again, to forget.

mod desk;
mod index;
mod order;
mod remote;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

pub(super) use desk::Desk;
pub(super) use index::{Index, Place};
pub(super) use remote::{PATH, pass_on, take};

use super::check::{self, Access};
use super::report::counted;
use super::run::{self, Reach};
use super::secrets::Local;
use super::{Outcome, component, documents, supervise, terminal};
use crate::catalog::{self, BusConfig};
use crate::fault::FaultKind;
use crate::task::Clock;
use order::{Action, Answer, Fate, Filter, Found, Goal, Order};

/// Looks at dead letters, sends them again, or forgets them
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The buses are those of the files. An embedded bus belongs to one process: while that runs, ask it with --admin.

Exit codes: 0 done, 1 a dead letter that was meant stays where it is, or failed, 2 refused because of what was given.

Examples:
  penstock dlq list -f flow.yaml --since 2h
  penstock dlq list -f flow.yaml --dapr
  penstock dlq list --admin 127.0.0.1:9090 --reason attempts
  kubectl port-forward deploy/trigger-ship 9091 & penstock dlq list --admin 127.0.0.1:9091
  penstock dlq show -f flow.yaml 7
  penstock dlq replay -f flow.yaml --trigger shop --rate 10 --dry-run
  penstock dlq drop -f flow.yaml --type com.shop.test"
)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[expect(clippy::doc_markdown, reason = "the text is the help of the command")]
#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Tells what dead letters there are
    List(Common),
    /// Prints dead letters as a whole, in the CloudEvents JSON format
    Show(Common),
    /// Sends the events of dead letters again; a letter is forgotten once the bus has its event
    Replay(Replay),
    /// Forgets dead letters
    Drop(Change),
}

/// Where they are, and which.
#[expect(clippy::doc_markdown, reason = "the text is the help of the command")]
#[derive(Args, Clone, Debug)]
struct Common {
    #[command(flatten)]
    filter: Filter,

    /// YAML with EventSources, EventBuses and Triggers: a file or a folder. Several are read together
    #[arg(long = "file", short = 'f', required_unless_present = "admin", value_name = "PATH")]
    files: Vec<PathBuf>,

    /// Where embedded buses keep events, as with run
    #[arg(long, env = "PENSTOCK_DATA_DIR", default_value = ".penstock", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// The flow runs with run --dapr, which gives its buses other names
    #[arg(long, conflicts_with = "admin")]
    dapr: bool,

    /// A folder that stands in for a cluster's Secrets, with files NAME/KEY
    #[arg(long, env = "PENSTOCK_SECRETS_DIR", value_name = "FOLDER")]
    secrets_dir: Option<PathBuf>,

    /// Ask the process whose admin port this is, instead of opening its buses
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "files")]
    admin: Option<SocketAddr>,

    /// At most as many dead letters
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    limit: usize,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Clone, Debug)]
struct Change {
    #[command(flatten)]
    common: Common,

    /// All dead letters, when nothing else says which
    #[arg(long)]
    all: bool,

    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Clone, Debug)]
struct Replay {
    #[command(flatten)]
    change: Change,

    /// Where events go
    #[arg(long, default_value = "subscriber", value_name = "GOAL")]
    to: Goal,

    /// At most as many events a second
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,

    /// An event that was sent again as often as this stays where it is
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    most_replays: u32,

    /// However often an event was sent again
    #[arg(long, conflicts_with = "most_replays")]
    force: bool,

    /// The consumer group of the router; by default that of the router that is asked, else that of penstock run
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("{text:?} is no number of events a second, such as 10 or 0.5"))
}

impl Command {
    /// What is asked, whether it was said which letters are meant, and where they are.
    fn order(self) -> (Order, bool, Common) {
        let (action, common, all, dry_run) = match &self {
            Self::List(common) => (Action::List, common, true, false),
            Self::Show(common) => (Action::Show, common, true, false),
            Self::Replay(Replay { change, .. }) => (Action::Replay, &change.common, change.all, change.dry_run),
            Self::Drop(change) => (Action::Drop, &change.common, change.all, change.dry_run),
        };
        let mut order = Order {
            action,
            filter: common.filter.clone(),
            dry_run,
            goal: Goal::Subscriber,
            most_replays: None,
            rate: None,
            limit: common.limit,
            group: None,
            index: None,
        };
        if let Self::Replay(replay) = &self {
            order.goal = replay.to;
            order.most_replays = (!replay.force).then_some(replay.most_replays);
            order.rate = replay.rate;
            order.group.clone_from(&replay.group);
        }
        let is_said = all || dry_run || order.filter != Filter::default();
        let common = common.clone();
        (order, is_said, common)
    }
}

/// Does what is asked, and tells it to `out`.
///
/// # Errors
/// When a bus cannot be had or read, or the running process refuses.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let (order, is_said, common) = options.command.order();
    if !is_said {
        writeln!(std::io::stderr(), "penstock: say which dead letters are meant, or --all")?;
        return Ok(Outcome::Refused);
    }
    let answer = match common.admin {
        Some(address) => remote::send(address, &order).await?,
        None => match here(&order, &common).await? {
            Some(answer) => answer,
            None => return Ok(Outcome::Refused),
        },
    };
    tell(&answer, &order, common.json, out)?;
    let stays = |found: &Found| matches!(found.fate, Fate::Skipped(_));
    Ok(if answer.found.iter().any(stays) { Outcome::Incomplete } else { Outcome::Done })
}

/// Opens the buses, works on their letters, and closes them; nothing when the files were refused.
async fn here(order: &Order, common: &Common) -> anyhow::Result<Option<Answer>> {
    let (documents, mut report) = documents::load(&common.files, &mut std::io::empty());
    let secrets = Local::new(common.secrets_dir.clone());
    check::judge(&documents, Access::Own, &secrets, &mut report);
    let reach = if common.dapr { Reach::Daprd } else { Reach::Anywhere };
    let plan = run::plan(&documents, reach, &secrets, &mut report);
    report.refuse_unsupported();
    let index = if common.dapr && !report.has_errors() {
        supervise::layout(&documents, &plan, &secrets, &mut report).letters
    } else {
        Index::of(&plan)
    };
    report.refuse_unsupported();
    if report.has_errors() {
        let mut err = std::io::stderr().lock();
        report.write_lines(&mut err, terminal::is_terminal())?;
        writeln!(err, "{}", report.summary())?;
        return Ok(None);
    }
    let clock = Clock::system();
    let mut opened = Vec::with_capacity(plan.buses.len());
    let ours = plan.buses.into_iter().filter(|bus| bus.config != BusConfig::Component);
    for (bus, Place { bus: name, .. }) in ours.zip(index.places()) {
        let (config, folder) = if common.dapr {
            (bus.config.of_components(name), component::bus_folder(&common.data_dir).join(name))
        } else {
            (bus.config, common.data_dir.join("bus").join(&bus.folder))
        };
        let found = catalog::open(config, &folder, &clock).await;
        let found = found.map_err(|fault| {
            let taken = fault.kind() == FaultKind::Conflict;
            let error = anyhow::Error::from(fault);
            if taken { error.context("the process that has it answers with --admin ADDRESS:PORT") } else { error }
        });
        opened.push((name.clone(), found.with_context(|| format!("EventBus {}", bus.name))?.bus));
    }
    let open = opened.clone();
    let desk = Desk::new(Box::new(move || open.clone()), Some(index));
    let answer = desk.work(order).await;
    for (name, bus) in opened {
        bus.close().await.with_context(|| format!("cannot close EventBus {name}"))?;
    }
    Ok(Some(answer?))
}

fn tell(answer: &Answer, order: &Order, as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    for found in &answer.found {
        if as_json {
            writeln!(out, "{}", serde_json::to_string(found)?)?;
            continue;
        }
        writeln!(out, "{}", line(found))?;
        if let Some(letter) = &found.letter {
            writeln!(out, "{}", serde_json::to_string_pretty(letter)?)?;
        }
    }
    if !as_json {
        let count = |is: fn(&Fate) -> bool| answer.found.iter().filter(|found| is(&found.fate)).count();
        let letters = counted(answer.found.len(), "dead letter").unwrap_or_else(|| "no dead letter".to_owned());
        let more = if answer.more { ", and more (--limit)" } else { "" };
        let skipped = count(|fate| matches!(fate, Fate::Skipped(_)));
        let done = match order.action {
            Action::List | Action::Show => String::new(),
            Action::Replay if order.dry_run => {
                format!(": {} would be sent again, {skipped} not", count(|fate| *fate == Fate::WouldBeReplayed))
            }
            Action::Replay => format!(": {} sent again, {skipped} not", count(|fate| *fate == Fate::Replayed)),
            Action::Drop if order.dry_run => {
                format!(": {} would be dropped", count(|fate| *fate == Fate::WouldBeDropped))
            }
            Action::Drop => format!(": {} dropped", count(|fate| *fate == Fate::Dropped)),
        };
        writeln!(out, "{letters}{more}{done}")?;
    }
    if answer.unseen > 0 {
        let unseen = answer.unseen;
        writeln!(
            std::io::stderr(),
            "penstock: {unseen} more did not come in time and stay as they are: try again in a moment"
        )?;
    }
    Ok(())
}

/// A line for people. What comes from events may hold anything.
fn line(found: &Found) -> String {
    let at = found.given_up.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let of = if found.trigger.is_empty() { "-".to_owned() } else { format!("{}/{}", found.trigger, found.subscriber) };
    let Found { topic, position, id, ty, reason, attempts, fault, replays, .. } = found;
    let attempts = if attempts.is_empty() { String::new() } else { format!(", {attempts} attempts") };
    let again = if *replays == 0 { String::new() } else { format!(", sent again {replays} times") };
    let fate = match &found.fate {
        Fate::Kept => String::new(),
        Fate::Replayed => "  -> sent again".to_owned(),
        Fate::Dropped => "  -> dropped".to_owned(),
        Fate::WouldBeReplayed => "  -> would be sent again".to_owned(),
        Fate::WouldBeDropped => "  -> would be dropped".to_owned(),
        Fate::Skipped(why) => format!("  -> stays: {why}"),
    };
    let line = format!("{at}  {id}  {ty}  {of}  {reason}{attempts}{again}  {topic}/{position}  {fault}{fate}");
    line.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
