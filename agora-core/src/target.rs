//! A target: a named place in the configuration where attempts run.

use serde::{Deserialize, Serialize};

/// What bounds an attempt. Absent means not bounded here; the smallest of target, subagent and plan applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall clock over all agent blocks, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wall_seconds: Option<u64>,
    /// Longest silence of the agent, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idle_seconds: Option<u64>,
    /// Each setup script, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub setup_seconds: Option<u64>,
    /// Memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_mib: Option<u64>,
    /// Processor time, in thousandths of a core.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_milli: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pids: Option<u64>,
    /// Disk, in MiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disk_mib: Option<u64>,
    /// The patch, in MiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patch_mib: Option<u64>,
    /// One output, in MiB.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_mib: Option<u64>,
    /// Turns of the agent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turns: Option<u64>,
    /// Cost, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost_microusd: Option<u64>,
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (some, None) | (None, some) => some,
    }
}

impl Limits {
    /// The smaller of each.
    #[must_use]
    pub fn narrowed_by(self, other: Self) -> Self {
        Self {
            wall_seconds: least(self.wall_seconds, other.wall_seconds),
            idle_seconds: least(self.idle_seconds, other.idle_seconds),
            setup_seconds: least(self.setup_seconds, other.setup_seconds),
            memory_mib: least(self.memory_mib, other.memory_mib),
            cpu_milli: least(self.cpu_milli, other.cpu_milli),
            pids: least(self.pids, other.pids),
            disk_mib: least(self.disk_mib, other.disk_mib),
            patch_mib: least(self.patch_mib, other.patch_mib),
            output_mib: least(self.output_mib, other.output_mib),
            turns: least(self.turns, other.turns),
            cost_microusd: least(self.cost_microusd, other.cost_microusd),
        }
    }
}

/// What kind of provider a target uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Processes on this machine, confined by agora-jail.
    Process,
}

impl ProviderKind {
    /// The word that configuration and records use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
        }
    }
}

/// A profile of the jail, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Every layer.
    Strict,
    /// Every layer but the limits of a cgroup.
    StrictNocg,
    /// Landlock and seccomp alone.
    LandlockOnly,
    /// Fresh environment, resource limits, closed descriptors, own session, whole tree ended. No wall.
    None,
}

impl Profile {
    /// The name that configuration, records and reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::StrictNocg => "strict-nocg",
            Self::LandlockOnly => "landlock-only",
            Self::None => "none",
        }
    }
}

/// One `[targets.NAME]` of the configuration. Its digest, over its strict canonical JSON, stands in `run.opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Who runs attempts here.
    pub provider: ProviderKind,
    /// The profiles that may be used, tried in order; nothing outside the list ever is.
    #[serde(default = "default_profiles")]
    pub profiles: Vec<Profile>,
    /// What bounds each attempt here.
    #[serde(default)]
    pub limits: Limits,
    /// Whether a subagent with `permission_mode = "bypass"` may run here.
    #[serde(default)]
    pub allow_bypass: bool,
}

fn default_profiles() -> Vec<Profile> {
    vec![Profile::Strict, Profile::StrictNocg]
}

impl Default for Target {
    fn default() -> Self {
        Self {
            provider: ProviderKind::Process,
            profiles: default_profiles(),
            limits: Limits::default(),
            allow_bypass: false,
        }
    }
}
