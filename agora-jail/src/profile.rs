//! The profiles of the jail as data: what each sets, and which layers of the strongest it lacks, a reason in every entry.
//!
//! A profile's bytes are part of the helper, and their digest is the `policy` of the isolation report.

use agora_core::id::Digest;
use agora_core::isolation::Network;
use agora_core::target::Profile;
use serde::Deserialize;

use crate::error::JailError;

/// The text of the profile `none`.
const NONE: &str = include_str!("../profiles/none.json");

/// A resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    /// `core` or `nofile`.
    pub(crate) name: String,
    /// In the limit's own unit: bytes, descriptors.
    pub(crate) value: u64,
    /// Why it is in the profile.
    pub(crate) why: String,
}

/// A layer of the strongest profile that this one lacks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lack {
    /// The fixed words of the report.
    pub(crate) layer: String,
    /// What that means.
    pub(crate) why: String,
}

/// What stands between the command and the network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reach {
    mode: String,
    boundary: String,
    /// What that means.
    pub(crate) why: String,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Its name.
    pub(crate) profile: Profile,
    /// The resource limits it sets.
    pub(crate) rlimits: Vec<Bound>,
    /// The network it leaves.
    pub(crate) network: Reach,
    /// What it lacks.
    pub(crate) weaker: Vec<Lack>,
}

impl Policy {
    /// Returns the policy of a profile.
    ///
    /// # Errors
    /// [`JailError::Unavailable`] for one that this build does not have.
    pub(crate) fn of(profile: Profile) -> Result<Self, JailError> {
        serde_json::from_str(Self::text(profile)?).map_err(|error| JailError::step("reading the profile", error))
    }

    /// Returns the digest of the policy's bytes.
    ///
    /// # Errors
    /// As [`Policy::of`].
    pub(crate) fn digest(profile: Profile) -> Result<Digest, JailError> {
        Ok(Digest::of(Self::text(profile)?.as_bytes()))
    }

    /// The network, as the report says it.
    pub(crate) fn network(&self) -> Network {
        let (mode, boundary) = (self.network.mode.clone(), self.network.boundary.clone());
        Network { mode, boundary, ..Network::default() }
    }

    fn text(profile: Profile) -> Result<&'static str, JailError> {
        match profile {
            Profile::None => Ok(NONE),
            Profile::Strict | Profile::StrictNocg | Profile::LandlockOnly => Err(JailError::Unavailable {
                profile,
                why: "this build of agora-jail does not have it yet; it has `none` alone".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_reason_and_every_word_fits_a_record() {
        let policy = Policy::of(Profile::None).unwrap();
        assert_eq!(policy.profile, Profile::None);
        assert!(!policy.network.why.is_empty());
        for bound in &policy.rlimits {
            assert!(!bound.why.is_empty(), "{}", bound.name);
        }
        for lack in &policy.weaker {
            assert!(!lack.why.is_empty(), "{}", lack.layer);
            assert!((1..=256).contains(&lack.layer.len()), "{}", lack.layer);
            assert!(lack.layer.bytes().all(|byte| (0x20..=0x7E).contains(&byte)), "{}", lack.layer);
        }
    }

    #[test]
    fn only_none_is_there() {
        assert!(Policy::digest(Profile::None).is_ok());
        for profile in [Profile::Strict, Profile::StrictNocg, Profile::LandlockOnly] {
            let error = Policy::of(profile).unwrap_err();
            assert!(matches!(error, JailError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains(profile.as_str()), "{error}");
        }
    }
}
