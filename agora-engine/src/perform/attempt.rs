//! The life of one attempt, as the driver lives it: prepare, launch, wait, stop if asked, collect.
//!
//! Everything it finds out goes back as an input; it changes no state itself. Dropping it stops nothing: the box goes on
//! and the next driver finds it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agora_core::decide::Finish;
use agora_core::error::Coded as _;
use agora_core::id::Enc;
use agora_core::record::{AttemptFinished, AttemptStarted, OutcomeWord, WorkerRef};
use agora_core::seam::{BlobStore, ComputeError, ComputeProvider, LaunchSpec};
use agora_core::worker::{AttemptId, Failure, FailureClass, Reason};
use tokio::sync::{mpsc, watch};

use super::assignment::{Assignment, Content};
use super::guard::caught;
use super::{collect, prepare};
use crate::driver::Input;
use crate::host::Host;

/// How long after an attempt's deadline the engine waits for the worker to end it itself.
const DEADLINE_GRACE: Duration = Duration::from_secs(60);
/// How long the engine waits before it asks a provider again that did not do or did not know, at first and at most.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a provider may take to launch.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(120);

/// What attempts are lived with.
#[derive(Clone)]
pub(crate) struct World {
    /// The home.
    pub(crate) home: PathBuf,
    /// Opens providers.
    pub(crate) providers: Arc<dyn crate::engine::Providers>,
    /// Keeps bytes.
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// The machine.
    pub(crate) host: Arc<dyn Host>,
    /// Where inputs go.
    pub(crate) inputs: mpsc::UnboundedSender<Input>,
}

/// The driver's hold on a living attempt.
#[derive(Debug)]
pub(crate) struct Control {
    /// Set to true to ask it to stop.
    pub(crate) stop: watch::Sender<bool>,
}

/// Lives the attempt to its end. That its deadline passed is said once: whoever decides has it stopped.
pub(crate) async fn life(world: World, assignment: Assignment, mut stop: watch::Receiver<bool>) {
    // By the clock that nobody turns; a driver that comes later derives it from the record again.
    let left = Duration::from_millis(assignment.deadline.ms_since(world.host.now())) + DEADLINE_GRACE;
    let deadline = tokio::time::sleep(left);
    let living = caught(live(&world, &assignment, &mut stop));
    tokio::pin!(deadline, living);
    let lived = tokio::select! {
        biased;
        lived = &mut living => lived,
        () = deadline => {
            // The driver may be gone; then the next one says so.
            let _ = world.inputs.send(Input::Expired(assignment.attempt.clone()));
            living.await
        }
    };
    let finish = match lived {
        Ok(Ok(finish)) => finish,
        Ok(Err(failure)) => failed(&world, &assignment, &failure),
        // Without an end its item would run for ever.
        Err(words) => failed(&world, &assignment, &broke_off(&world, &assignment, &words).await),
    };
    // The driver may be gone; then the next one collects again.
    let _ = world.inputs.send(Input::Finished(Box::new(finish)));
}

/// Ends what an attempt launched that the engine itself broke off (I10), and says why it failed.
async fn broke_off(world: &World, assignment: &Assignment, words: &str) -> Failure {
    match opened(world, assignment).await {
        Ok(provider) => stop_unrecorded(provider.as_ref(), assignment).await,
        Err(error) => {
            tracing::warn!(attempt = %describe(&assignment.attempt), detail = %error.detail, "not swept");
        }
    }
    Failure::new(Reason::WorkerError, format!("the engine broke off: {words}"))
}

async fn live(world: &World, assignment: &Assignment, stop: &mut watch::Receiver<bool>) -> Result<Finish, Failure> {
    let provider = opened(world, assignment).await?;
    let folder = world.providers.attempts(&world.home).join(assignment.attempt.folder_name());
    let handle = match &assignment.handle {
        Some(handle) => handle.clone(),
        None => {
            if assignment.stopping {
                stop_unrecorded(provider.as_ref(), assignment).await;
                return Ok(cancelled(world, assignment));
            }
            let content = match &assignment.content {
                Ok(content) => content,
                Err(failure) => {
                    stop_unrecorded(provider.as_ref(), assignment).await;
                    return Err(failure.clone());
                }
            };
            match launch(world, provider.as_ref(), assignment, content, &folder).await {
                Ok(handle) => handle,
                Err(failure) => {
                    // What a launch that failed late left running must not outlive its lease (I10).
                    stop_unrecorded(provider.as_ref(), assignment).await;
                    return Err(failure);
                }
            }
        }
    };
    wait(provider.as_ref(), assignment, &handle, stop).await;
    let mut finish = collect::collect(world, &folder, assignment).await;
    blame(&mut finish);
    Ok(finish)
}

/// Opens the provider. Where a box of the attempt is known of, one that cannot be opened is tried again: whether that box
/// runs is not known before.
async fn opened(world: &World, assignment: &Assignment) -> Result<Arc<dyn ComputeProvider>, Failure> {
    let mut pause = PAUSE_MIN;
    loop {
        match world.compute(&assignment.target) {
            Ok(provider) => return Ok(provider),
            Err(error) if assignment.handle.is_none() => return Err(compute_failure(&error)),
            Err(error) => {
                tracing::warn!(attempt = %describe(&assignment.attempt), %error, "whether it runs is not known");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A worker that says it was stopped was stopped by something else, as far as is known here: where a stop is recorded, the
/// decision makes of it what that asks for, whatever stands here.
fn blame(finish: &mut Finish) {
    if finish.finished.outcome == OutcomeWord::Cancelled {
        finish.finished.outcome = OutcomeWord::Lost;
        finish.finished.class = Some(Reason::WorkerLost.class());
        finish.finished.reason = Some(Reason::WorkerLost);
    }
}

/// Ends a box that a driver launched and could not record. A provider that fails is asked again until it knows: nobody else
/// may have the attempt's locks before, and what is stopped is cancelled only with that proof.
async fn stop_unrecorded(provider: &dyn ComputeProvider, assignment: &Assignment) {
    let mut pause = PAUSE_MIN;
    while let Err(error) = try_stop_unrecorded(provider, assignment).await {
        tracing::warn!(attempt = %describe(&assignment.attempt), detail = %error.detail, "not swept yet");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn try_stop_unrecorded(provider: &dyn ComputeProvider, assignment: &Assignment) -> Result<(), Failure> {
    let found = in_time(provider.list()).await?;
    for found in found.into_iter().filter(|found| found.attempt == assignment.attempt && found.alive) {
        if let Some(handle) = found.handle {
            provider.stop(&handle, false).await.map_err(|error| compute_failure(&error))?;
        }
    }
    Ok(())
}

async fn launch(
    world: &World,
    provider: &dyn ComputeProvider,
    assignment: &Assignment,
    content: &Content,
    folder: &std::path::Path,
) -> Result<Enc, Failure> {
    let (profile, _) = in_time(provider.isolation(&assignment.target)).await?;
    let task = prepare::prepare(world.blobs.as_ref(), folder, assignment, content, profile).await?;
    let spec = LaunchSpec {
        attempt: assignment.attempt.clone(),
        folder: folder.to_owned(),
        target: assignment.target.clone(),
        profile,
    };
    let launched = in_time(provider.launch(&spec)).await?;
    let AttemptId { item, attempt, fence, .. } = assignment.attempt.clone();
    let handle = launched.handle.clone();
    let started = AttemptStarted {
        item,
        attempt,
        fence,
        handle: launched.handle,
        isolation: launched.isolation,
        image: launched.image,
        worker: WorkerRef { version: launched.worker_version, digest: launched.worker_digest },
        task,
        secrets: Vec::new(),
    };
    let _ = world.inputs.send(Input::Started(assignment.attempt.run.clone(), Box::new(started)));
    Ok(handle)
}

/// A provider's answer, or a failure when it hangs.
async fn in_time<T>(answer: impl Future<Output = Result<T, ComputeError>>) -> Result<T, Failure> {
    tokio::time::timeout(LAUNCH_TIMEOUT, answer)
        .await
        .map_err(|_| Failure::new(Reason::LaunchFailed, "the provider did not answer in two minutes"))?
        .map_err(|error| compute_failure(&error))
}

/// Waits for the end of the box, stopping it when asked to.
async fn wait(provider: &dyn ComputeProvider, assignment: &Assignment, handle: &Enc, stop: &mut watch::Receiver<bool>) {
    let asked = async {
        // An error means that the driver is gone: then nobody asks any more.
        if stop.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = gone(provider, assignment, handle) => return,
        () = asked => {}
    }
    let (mut pause, mut at_once) = (PAUSE_MIN, false);
    // Absence is what counts, whatever the stop says: nobody else may have its locks before.
    while let Err(error) = provider.stop(handle, at_once).await {
        tracing::warn!(attempt = %describe(&assignment.attempt), %error, "a stop is not proven yet");
        if tokio::time::timeout(pause, gone(provider, assignment, handle)).await.is_ok() {
            return;
        }
        (pause, at_once) = ((pause * 2).min(PAUSE_MAX), true);
    }
    gone(provider, assignment, handle).await;
}

/// Returns once the box is gone. A provider that cannot tell is asked again: not to know is not to be gone.
async fn gone(provider: &dyn ComputeProvider, assignment: &Assignment, handle: &Enc) {
    let mut pause = PAUSE_MIN;
    loop {
        match provider.wait(handle).await {
            Ok(_) => return,
            Err(error @ ComputeError::Unknown(_)) => {
                tracing::warn!(attempt = %describe(&assignment.attempt), %error, "its box has left nothing");
                return;
            }
            Err(error) => {
                tracing::warn!(attempt = %describe(&assignment.attempt), %error, "whether it runs is not known");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn describe(attempt: &AttemptId) -> String {
    format!("{}/{}/{}", attempt.run, attempt.item, attempt.attempt)
}

fn compute_failure(error: &ComputeError) -> Failure {
    Failure::new(error.reason(), format!("{}: {error}", error.code()))
}

/// An attempt that failed without an outcome of its worker's.
fn failed(world: &World, assignment: &Assignment, failure: &Failure) -> Finish {
    tracing::warn!(
        attempt = %describe(&assignment.attempt),
        reason = failure.reason.as_str(),
        detail = %failure.detail,
        "an attempt failed before its end could be collected"
    );
    let mut finish = blank(world, assignment, OutcomeWord::Failed);
    finish.finished.class = Some(failure.reason.class());
    finish.finished.reason = Some(failure.reason);
    finish.hint_ms = failure.not_before_ms;
    finish.detail = Some(failure.detail.clone());
    finish
}

fn cancelled(world: &World, assignment: &Assignment) -> Finish {
    let mut finish = blank(world, assignment, OutcomeWord::Cancelled);
    finish.finished.class = Some(FailureClass::Cancelled);
    finish.finished.reason = Some(Reason::Caller);
    finish
}

/// A finish that says nothing yet but whose it is and how long it took.
pub(super) fn blank(world: &World, assignment: &Assignment, outcome: OutcomeWord) -> Finish {
    let AttemptId { run, item, attempt, fence } = assignment.attempt.clone();
    let finished = AttemptFinished {
        duration_ms: world.host.now().ms_since(assignment.leased_at),
        ..AttemptFinished::new(item, attempt, fence, outcome)
    };
    Finish { run, finished, question: None, hint_ms: None, detail: None }
}
