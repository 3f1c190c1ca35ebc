//! `audit`: the verification report of a run.

use agora_engine::operations::{AuditArgs, AuditReply, OpError};

use super::{Hints, READS, Verb};
use crate::call::Call;

pub(super) struct Audit;

impl Verb for Audit {
    const NAME: &'static str = "audit";
    const TITLE: &'static str = "Verify the evidence of a run";
    const ABOUT: &'static str = "Verifies the evidence of a run and says what was shown and what was not: eight axes from integrity to authorisation, each with its value, and every check that failed (all of them with full). A run is sealed shortly after its end; before, the verdict is open. \
             It verifies what was recorded, not whether the work is good: review the patch for that.";
    const HINTS: Hints = READS;
    type Args = AuditArgs;
    type Reply = AuditReply;

    async fn run(call: &Call, args: Self::Args) -> Result<Self::Reply, OpError> {
        call.engine.audit(&call.caller, args).await
    }
}
