//! The isolation report: what was really enforced around an attempt, read back, never what was asked for (I17).
//!
//! Members that this version does not know are kept as they are, at every level: the report of a newer provider is shown,
//! and stated again, as it was sealed. No rule reads them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::id::Digest;
use crate::time::Time;

/// What an attempt may reach of the network, and what holds that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// `none`, `broker`, or `open` (profile `none`).
    pub mode: String,
    /// `netns`, `seccomp`, `security-group`, or `nothing`.
    pub boundary: String,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// What the self-probes of the provider found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Probes {
    /// When they ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<Time>,
    /// The ids of those that failed.
    pub failed: Vec<String>,
    /// The ids of those that this machine cannot try.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_testable: Vec<String>,
    /// How many passed.
    pub passed: u64,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// The helper that confined the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailBuild {
    /// Digest of the helper executable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binary: Option<Digest>,
    /// Digest of the policy that was in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<Digest>,
    /// Its version.
    pub version: String,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// The report. The unknown is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// `process`, `docker`, `fargate`: the one that the attempt was leased to.
    pub provider: String,
    /// The profile that is in force, by name.
    pub profile: String,
    /// In fixed words, which layers of the strongest profile are missing. Printable ASCII, at most 256 bytes each.
    pub weaker: Vec<String>,
    /// What the self-probes found.
    pub probes: Probes,
    /// The network.
    pub network: Network,
    /// The helper.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jail: Option<JailBuild>,
    /// Kernel release.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kernel: Option<String>,
    /// The namespaces that were made, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub namespaces: Vec<String>,
    /// Whether `no_new_privs` was read back as set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub no_new_privs: Option<bool>,
    /// The resource limits read back, by name: `core`, `nofile`, `fsize` in bytes, `nproc`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub rlimits: BTreeMap<String, u64>,
    /// How the workspace was laid out: `copy`, `reflink`, `overlay`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tree: Option<String>,
    /// `agent-uid` or `same-uid`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid_separation: Option<String>,
    /// Where the worker runs: `box` or `host`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worker: Option<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}
