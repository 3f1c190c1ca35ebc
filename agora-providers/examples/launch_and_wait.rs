//! A driver for tests: launches one attempt, says its handle, and waits until it is killed.
//! `launch_and_wait HOME WORKER RUN ITEM`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use agora_core::seam::{ComputeProvider as _, LaunchSpec};
use agora_core::target::{Profile, Target};
use agora_core::worker::AttemptId;
use agora_providers::process::{ProcessProvider, attempts_folder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match launch().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => std::panic::panic_any(error.to_string()),
    }
}

async fn launch() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, home, worker, run, item] = arguments.as_slice() else { return Err("four arguments".into()) };
    let home = Path::new(home);
    let attempt = AttemptId { run: run.parse()?, item: item.parse()?, attempt: 1, fence: 1 };
    let target = Target { profiles: vec![Profile::None], ..Target::default() };
    let folder = attempts_folder(home).join(attempt.folder_name());
    let spec = LaunchSpec { folder, attempt, target, profile: Profile::None };
    let provider = ProcessProvider::new(home)?.with_worker(worker);
    let handle = provider.launch(&spec).await?.handle;
    std::io::stdout().write_all(format!("{handle}\n").as_bytes())?;
    provider.wait(&handle).await?;
    Ok(())
}
