//! `dispatch`: one item, now.

use agora_engine::operations::{DispatchArgs, DispatchReply, OpError};

use super::{Hints, Verb};
use crate::call::Call;

pub(super) struct Dispatch;

impl Verb for Dispatch {
    const NAME: &'static str = "dispatch";
    const TITLE: &'static str = "Give one piece of work away";
    const ABOUT: &'static str = "Starts one item now: a subagent from the catalog works on it alone, in an isolated workspace, and what it did comes back as a patch to review. Nothing in your own files changes. Returns run_id and item_id at once; with wait_seconds it waits and returns the result if there is one. \
             For several pieces, or pieces that depend on each other, use submit. With request_id a repeated call starts nothing new.";
    const HINTS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: true };
    const ALWAYS: bool = true;
    const WAITS: bool = true;
    type Args = DispatchArgs;
    type Reply = DispatchReply;

    async fn run(call: &Call, mut args: Self::Args) -> Result<Self::Reply, OpError> {
        let Some(asked) = args.wait_seconds else {
            return call.engine.dispatch(&call.caller, args).await;
        };
        args.wait_seconds = Some(call.waits.within(Some(asked)));
        let (say, said) = call.progress.open();
        let work = async move {
            say.line(format!("starting {}", args.subagent));
            // Its end ends the signs of life.
            let _say = say;
            call.engine.dispatch(&call.caller, args).await
        };
        call.wait(said, work).await
    }
}
