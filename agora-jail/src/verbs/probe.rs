//! `agora-jail probe`: confines itself as a command would be, says what it read back, and ends.

use crate::channel::Channel;
use crate::confine;
use crate::error::{JailError, Refusal};
use crate::profile::Policy;
use crate::spec::{ProbeSpec, Said};

pub(super) fn probe(mut channel: Channel) -> bool {
    let answer = match channel.receive::<ProbeSpec>(None) {
        Ok(Some(spec)) => policy(spec.profile).and_then(|policy| confine::confine(&policy, &spec.limits)),
        Ok(None) => return false,
        Err(error) => Err(Refusal::BadSpec { why: error.to_string() }),
    };
    channel.send(&answer.map_or_else(Said::Refused, Said::Confined)).is_ok()
}

/// The policy, with its errors as a helper says them.
pub(super) fn policy(profile: agora_core::target::Profile) -> Result<Policy, Refusal> {
    Policy::of(profile).map_err(|error| match error {
        JailError::Unavailable { profile, why } => Refusal::Unavailable { profile, why },
        other => Refusal::step("reading the profile", other),
    })
}
