//! What a run's pattern adds, checked as an extension is: against the merged graph and the registry version of the run.

use std::sync::Arc;

use agora_core::decide;
use agora_core::error::Class;
use agora_core::id::{Enc, ItemId, Word};
use agora_core::pattern::Answer;
use agora_core::plan::{self, Item, Plan, QueuePattern};
use agora_core::record::{Added, GrowthCause, RegistryRef};
use agora_core::seam::BlobStore;

use crate::config::Config;
use crate::hub::Hub;
use crate::operations::{OpError, added_items, internal, put_questions};

/// The answer of a pattern, and what of its run it is checked against.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    pub(crate) answer: Answer,
    pub(crate) plan: Arc<Plan>,
    pub(crate) registry: RegistryRef,
}

/// The answer of a pattern, checked.
#[derive(Debug)]
pub(crate) struct Grown {
    /// Whose answer it is.
    pub(crate) pattern: QueuePattern,
    /// To the end of this item.
    pub(crate) source: ItemId,
    /// What is added; or the code that it is refused with.
    pub(crate) items: Result<(Vec<Item>, Vec<Added>), Word>,
}

/// Checks what a pattern adds.
///
/// # Errors
/// What may be otherwise later: the registry or a blob cannot be read now.
pub(crate) async fn grow(growth: Growth, hub: &Hub, config: &Config, blobs: &dyn BlobStore) -> Result<Grown, OpError> {
    let Growth { answer, plan, registry } = growth;
    let current = hub.current().await?;
    let items = match checked(&answer, &plan, &registry, &current, config, blobs).await {
        Ok(items) => Ok(items),
        Err(error) if error.problems.iter().any(|problem| problem.class == Class::Later) => return Err(error),
        Err(error) => {
            let problem = error.first();
            tracing::warn!(source = %answer.source, code = %problem.code, %problem, "what a pattern adds is refused");
            Err(Word::new(problem.code).map_err(|error| internal(&error))?)
        }
    };
    Ok(Grown { pattern: answer.pattern, source: answer.source, items })
}

async fn checked(
    answer: &Answer,
    plan: &Plan,
    registry: &RegistryRef,
    current: &crate::registry::Current,
    config: &Config,
    blobs: &dyn BlobStore,
) -> Result<(Vec<Item>, Vec<Added>), OpError> {
    if answer.items.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let growth = plan::growth_of(&answer.items, plan);
    let bound = current.bound(registry.digest, registry.note, blobs).await?;
    let surroundings = bound.surroundings(&growth.parsed.to_look_up(), config, blobs).await?.of_run(plan);
    let resolved = plan::check(&growth.parsed, &surroundings).map_err(|problems| OpError { problems })?;
    put_questions(&growth.parsed.plan.items, blobs).await?;
    let source = Enc::encode(answer.source.as_str());
    let added = added_items(&growth.parsed.plan, &resolved)?;
    Ok((growth.parsed.plan.items, decide::added(GrowthCause::Pattern, Some(&source), added)))
}
