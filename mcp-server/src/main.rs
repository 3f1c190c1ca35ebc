#![doc = include_str!("../README.md")]

mod arguments;
mod call;
mod cli;
mod error;
mod home;
mod identity;
mod linger;
mod logs;
mod progress;
mod prompt;
mod providers;
mod reply;
mod resource;
mod schema;
mod server;
mod stop;
mod tools;
mod transport;
mod waits;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use rmcp::ServiceExt as _;

use crate::cli::{Cli, Settings};
use crate::home::Home;
use crate::stop::Stop;

/// Threads that serve: requests mostly wait, and what computes has threads of its own.
const WORKER_THREADS: usize = 4;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let drive_only = cli.drive_until_idle;
    let ended = Settings::resolve(cli).and_then(|settings| run(settings, drive_only));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logs::last_words(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings, drive_only: bool) -> anyhow::Result<()> {
    logs::start(&settings.home, !drive_only);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let ended = runtime.block_on(async {
        let stop = Stop::new();
        stop.on_signals().context("failed to watch for signals")?;
        if drive_only { linger::drive_until_idle(&settings, stop).await } else { serve(&settings, stop).await }
    });
    // A read of standard input that is no pipe blocks a thread, which nothing can end but the process.
    runtime.shutdown_background();
    ended
}

/// Serves until the client goes away or a signal comes, then leaves the runs to whoever goes on with them.
async fn serve(settings: &Settings, stop: Stop) -> anyhow::Result<()> {
    let home = Home::new(settings, stop.clone());
    let server = server::Server::new(home.clone())?;
    let (read, write) = rmcp::transport::stdio_pipes();
    let lines = transport::Lines::new(read, write, stop.clone());
    match server.serve(lines).await {
        Ok(running) => {
            running.waiting().await.context("failed to serve to the end")?;
        }
        // The client went away before it said which protocol it speaks: nobody is there to be told.
        Err(error) => tracing::debug!(%error, "no session"),
    }
    stop.now();
    home.close().await;
    Ok(())
}
