//! A provider that may panic, as one that fails: what it throws ends the call that it was asked for, and nothing else (C07).

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use agora_core::isolation::Isolation;
use agora_core::seam::{ComputeError, ComputeProvider, Ended, Found, Handle, LaunchSpec, Launched};
use agora_core::target::{Profile, Target};
use agora_core::worker::AttemptId;
use async_trait::async_trait;

use super::attempt::World;

impl World {
    /// Opens the provider of a target.
    ///
    /// # Errors
    /// As the provider says; [`ComputeError::Failed`] where it panics, here and in all its calls.
    pub(crate) fn compute(&self, target: &Target) -> Result<Arc<dyn ComputeProvider>, ComputeError> {
        let opened = catch_unwind(AssertUnwindSafe(|| self.providers.compute(&self.home, target)));
        let opened = opened.unwrap_or_else(|panic| Err(thrown("when it was opened", &words(panic.as_ref()))));
        opened.map(|provider| Arc::new(Guarded(provider)) as _)
    }
}

/// Runs a future to its end, or to its panic.
///
/// # Errors
/// What the panic says.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Ok(Poll::Pending) => Poll::Pending,
        // It is not polled again.
        Err(panic) => Poll::Ready(Err(words(panic.as_ref()))),
    })
    .await
}

/// What a panic says, where it says it as they usually do.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

fn thrown(place: &str, words: &str) -> ComputeError {
    ComputeError::Failed(format!("it panicked {place}: {words}"))
}

struct Guarded(Arc<dyn ComputeProvider>);

/// One call of the provider's.
async fn call<T>(place: &str, work: impl Future<Output = Result<T, ComputeError>>) -> Result<T, ComputeError> {
    caught(work).await.unwrap_or_else(|words| Err(thrown(place, &words)))
}

#[async_trait]
impl ComputeProvider for Guarded {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    async fn isolation(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError> {
        call("in a probe", self.0.isolation(target)).await
    }
    async fn launch(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        call("in a launch", self.0.launch(spec)).await
    }
    async fn wait(&self, handle: &Handle) -> Result<Ended, ComputeError> {
        call("while it waited", self.0.wait(handle)).await
    }
    async fn stop(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError> {
        call("in a stop", self.0.stop(handle, at_once)).await
    }
    async fn list(&self) -> Result<Vec<Found>, ComputeError> {
        call("in a list", self.0.list()).await
    }
    async fn remove(&self, attempt: &AttemptId) -> Result<(), ComputeError> {
        call("in a removal", self.0.remove(attempt)).await
    }
}
