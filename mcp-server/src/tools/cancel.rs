//! `cancel`: stop a run or an item, or hold it.

use agora_engine::operations::{CancelArgs, CancelReply, OpError};

use super::{Hints, Verb};
use crate::call::Call;

pub(super) struct Cancel;

impl Verb for Cancel {
    const NAME: &'static str = "cancel";
    const TITLE: &'static str = "Stop or hold a run";
    const ABOUT: &'static str = "Stops a run or one item for good (mode stop, the default): what runs is ended, what waits never starts, what is done stays. Mode hold only starts nothing new (with drain false it also stops what runs, to start it anew later); answer releases it. The reason is kept as evidence. Needs the whole run_id. \
             Calling it again changes nothing more.";
    const HINTS: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };
    type Args = CancelArgs;
    type Reply = CancelReply;

    async fn run(call: &Call, args: Self::Args) -> Result<Self::Reply, OpError> {
        call.engine.cancel(&call.caller, args).await
    }
}
