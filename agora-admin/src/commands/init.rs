//! `init`: make the home.

use agora_admin::init::{Did, Home, Options, init, prepare};
use agora_engine::Engine;
use agora_engine::config::{Config, Machine};
use serde::Serialize;

use crate::cli::{Context, now};
use crate::doctor::{self, Check};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Style};

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Safe to repeat: what is there is found and never written over.\n\nExamples:\n  agora-admin init\n  agora-admin --home /srv/agora init"
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Reply {
    home: String,
    origin: String,
    registry: String,
    registry_version: u64,
    /// Whether all of it was there.
    was_whole: bool,
    made: Vec<String>,
    completed: Vec<String>,
    /// What this machine enforces on each target.
    targets: Vec<Check>,
}

/// Makes the home.
///
/// # Errors
/// What stands in the way.
pub(crate) async fn run(context: &Context, _args: Args) -> Result<Exit, Failure> {
    let doing = format!("make the home {}", context.home.display());
    prepare(&context.home).doing(&doing)?;
    let blobs = context.blobs()?;
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    // A store that cannot be read has nothing to say: init mends what it can.
    let seen = Engine::recorded(&context.home).ok().and_then(|recorded| recorded.registry);
    let options = Options { host: &host, now: now(), seen_version: seen.map(|seen| seen.version) };
    let home = init(&context.home, blobs.as_ref(), options).await.doing(&doing)?;
    let targets = match Config::load(&context.home, &Machine::this()) {
        Ok(config) => doctor::targets(&context.home, &config).await,
        // An older agora.toml that is wrong now: doctor tells of it, and the home is made nevertheless.
        Err(error) => doctor::config_problems(&error),
    };
    let reply = reply(context, &home, targets);
    context.out.reply(&reply, |page| {
        for (did, what) in [("made", &reply.made), ("completed", &reply.completed)] {
            what.iter().for_each(|what| page.line(Line::of(Cell::new(did).style(Style::Good)).and(what)));
        }
        page.line(
            Line::of("home")
                .and_style(Style::Bold, &reply.home)
                .and(if reply.was_whole { "is whole already" } else { "is ready" })
                .and_style(Style::Dim, format!("log {}, registry version {}", reply.origin, reply.registry_version)),
        );
        doctor::show(page, reply.targets.iter().filter(|check| !check.is_ok()));
        page.next("agora-admin doctor, then agora-admin mcp-config claude-code");
    })?;
    Ok(Exit::Done)
}

fn reply(context: &Context, home: &Home, targets: Vec<Check>) -> Reply {
    let those = |did: Did| home.steps.iter().filter(|step| step.did == did).map(|step| step.what.clone()).collect();
    Reply {
        home: context.home.display().to_string(),
        origin: home.origin.to_string(),
        registry: home.registry.clone(),
        registry_version: home.version,
        was_whole: home.was_whole(),
        made: those(Did::Made),
        completed: those(Did::Completed),
        targets,
    }
}
