//! `status`: where things stand.

use agora_engine::operations::{OpError, StatusArgs, StatusReply};

use super::{Hints, READS, Verb};
use crate::call::Call;

pub(super) struct Status;

impl Verb for Status {
    const NAME: &'static str = "status";
    const TITLE: &'static str = "Where things stand";
    const ABOUT: &'static str = "Shows where things stand, without waiting. view inbox: what needs somebody, with the call that resolves it; runs: your runs; run: one run and its items, what blocks them, cost and patches; item: one item and its attempts; diagnose: why nothing happens, with evidence and the next step. \
             To wait for something, use watch instead of calling this again and again.";
    const HINTS: Hints = READS;
    const ALWAYS: bool = true;
    type Args = StatusArgs;
    type Reply = StatusReply;

    async fn run(call: &Call, args: Self::Args) -> Result<Self::Reply, OpError> {
        call.engine.status(&call.caller, args).await
    }
}
