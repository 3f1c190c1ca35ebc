//! What a profile would really enforce here and now: tried in a process of its own, and read back from the kernel.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::Duration;

use agora_core::isolation::{Isolation, JailBuild, Probes};
use agora_core::target::{Limits, Profile};

use crate::channel::Channel;
use crate::error::JailError;
use crate::helper;
use crate::profile::Policy;
use crate::spec::{ProbeSpec, Said};
use crate::sys::{self, Tie};

/// How long a probe may take; it makes some thirty system calls.
const PROBE_MAX: Duration = Duration::from_secs(30);

/// Confines an empty process as a command would be, and reports what was read back. `provider` is left to the caller's
/// word, since only the caller knows it.
///
/// # Errors
/// [`JailError::Unavailable`] for a profile that cannot be had here; [`JailError::Failed`] where a setting did not hold.
pub fn probe(provider: &str, profile: Profile, limits: &Limits) -> Result<Isolation, JailError> {
    let policy = Policy::of(profile)?;
    let path = helper::find_helper(helper::JAIL)?;
    let (mut channel, theirs) = Channel::pair().map_err(|error| JailError::step("socketpair", error))?;
    let mut command = helper::command("probe")?;
    command.arg("--control").arg(crate::verbs::number(&theirs));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = sys::spawn(&mut command, &[theirs.as_fd()], Tie::Free)
        .map_err(|error| JailError::step("starting agora-jail probe", error))?;
    drop(theirs);
    let sent = channel.send(&ProbeSpec { profile, limits: *limits });
    let said = channel.receive(Some(PROBE_MAX));
    drop(channel);
    if said.is_err() {
        // Past its time: nothing to wait for. Gone already is as good.
        let _ = child.kill();
    }
    let _ = child.wait();
    let found = match said {
        Ok(Some(Said::Confined(found))) => found,
        Ok(Some(Said::Refused(refusal))) => return Err(refusal.into()),
        Ok(Some(_)) => return Err(JailError::Lost("it spoke out of turn".to_owned())),
        Ok(None) => return Err(JailError::Lost(format!("the probe said nothing ({sent:?})"))),
        Err(error) => return Err(JailError::step("waiting for the probe", error)),
    };
    Ok(Isolation {
        provider: provider.to_owned(),
        profile: profile.as_str().to_owned(),
        weaker: policy.weaker.iter().map(|lack| lack.layer.clone()).collect(),
        probes: Probes::default(),
        network: policy.network(),
        jail: Some(JailBuild {
            binary: Some(helper::executable_digest(&path)?),
            policy: Some(Policy::digest(profile)?),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            more: BTreeMap::new(),
        }),
        kernel: Some(found.kernel),
        namespaces: Vec::new(),
        no_new_privs: Some(found.no_new_privs),
        rlimits: found.rlimits,
        tree: None,
        uid_separation: Some("same-uid".to_owned()),
        worker: Some("host".to_owned()),
        more: BTreeMap::new(),
    })
}
