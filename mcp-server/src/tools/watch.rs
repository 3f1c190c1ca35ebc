//! `watch`: wait for something to happen.

use agora_engine::operations::{OpError, WatchArgs, WatchReply};

use super::{Hints, READS, Verb};
use crate::call::Call;

pub(super) struct Watch;

impl Verb for Watch {
    const NAME: &'static str = "watch";
    const TITLE: &'static str = "Wait for something to happen";
    const ABOUT: &'static str = "Waits until something happens in runs and says what: a question, a failure or the end of a run (until attention, the default), any change, or the end of all (terminal). Running out of time is a normal answer, and so is more (not all events fit, and nothing was waited for): call again with the cursor as after. \
             Use it instead of polling status. Without run_ids it watches all your open runs.";
    const HINTS: Hints = READS;
    const ALWAYS: bool = true;
    const WAITS: bool = true;
    type Args = WatchArgs;
    type Reply = WatchReply;

    async fn run(call: &Call, mut args: Self::Args) -> Result<Self::Reply, OpError> {
        let asked = args.wait_seconds;
        args.wait_seconds = Some(call.waits.within(asked));
        let (say, said) = call.progress.open();
        let work = async move { call.engine.watch(&call.caller, args, &|line| say.line(line)).await };
        let mut reply = call.wait(said, work).await?;
        call.waits.correct(&mut reply, asked);
        Ok(reply)
    }
}
