//! `submit`: a plan, or more items for an open-ended run.

use agora_engine::operations::{OpError, SubmitArgs, SubmitReply};

use super::{Hints, Verb};
use crate::call::Call;

pub(super) struct Submit;

impl Verb for Submit {
    const NAME: &'static str = "submit";
    const TITLE: &'static str = "Start a plan";
    const ABOUT: &'static str = "Checks a plan and starts it as one run: items for subagents, with dependencies and locks between them; items that do not depend on each other run at the same time. The plan is checked whole and every error comes back at once; nothing starts until all of it is right. \
             Use dry_run first to see layers, contention and what each item resolves to. Then watch the run. With extend instead of plan it adds items to a run whose plan has openEnded; close lets that run end. With request_id a repeated call starts nothing new.";
    const HINTS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: true };
    const ALWAYS: bool = true;
    type Args = SubmitArgs;
    type Reply = SubmitReply;

    async fn run(call: &Call, args: Self::Args) -> Result<Self::Reply, OpError> {
        call.engine.submit(&call.caller, args).await
    }
}
