//! `catalog`: what may be used.

use agora_engine::operations::{CatalogArgs, CatalogReply, OpError};

use super::{Hints, READS, Verb};
use crate::call::Call;

pub(super) struct Catalog;

impl Verb for Catalog {
    const NAME: &'static str = "catalog";
    const TITLE: &'static str = "What may be used";
    const ABOUT: &'static str = "Lists what dispatch and plans may name here: subagents (with the inputs they expect and the targets they run on), capabilities, env bundles, pipelines, targets (with the isolation they really enforce and whether they are up), queues, executors and workspaces. \
             Call it before the first dispatch or submit; names cannot be guessed. An entry that cannot be used now says why and what mends it.";
    const HINTS: Hints = READS;
    type Args = CatalogArgs;
    type Reply = CatalogReply;

    async fn run(call: &Call, args: Self::Args) -> Result<Self::Reply, OpError> {
        call.engine.catalog(&call.caller, args).await
    }
}
