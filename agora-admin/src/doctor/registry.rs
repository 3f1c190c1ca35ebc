//! The configuration, the registry, and the subagents that lag behind.

use agora_admin::registry::ChangeError;
use agora_core::registry::Kind;
use agora_engine::config::{Config, ConfigError};

use super::check::Check;
use crate::cli::Context;
use crate::commands::Registry;

/// The configuration in force.
pub(super) fn config(config: &Config) -> Check {
    let path = config.path();
    if !path.exists() {
        return Check::ok("config", format!("no {}: the defaults hold", path.display()));
    }
    let counts = [
        (config.targets.len(), "targets"),
        (config.executors.len(), "executors"),
        (config.queues.len(), "queues"),
        (config.workspaces.len(), "workspaces"),
    ];
    let counts: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}")).collect();
    Check::ok("config", format!("{}: {}", path.display(), counts.join(", ")))
}

/// Everything that is wrong with the configuration, a line each.
pub(crate) fn config_problems(error: &ConfigError) -> Vec<Check> {
    error.problems().iter().map(|problem| Check::problem("config", problem)).collect()
}

/// The workspaces' folders.
pub(super) fn workspaces(config: &Config) -> Vec<Check> {
    let gone = config.workspaces.iter().filter(|(_, workspace)| !workspace.path.is_dir());
    let gone = gone.map(|(name, workspace)| {
        let detail = format!("the workspace {name} has no folder {}", workspace.path.display());
        Check::fail("config", detail, format!("mend workspaces.{name} in {}", config.path().display()))
    });
    gone.collect()
}

/// The registry: its signature, each entry's bytes, who lags behind.
pub(super) async fn registry(context: &Context) -> Vec<Check> {
    let registry = match Registry::open(context).await {
        Ok(registry) => registry,
        Err(failure) => return failure.problems.iter().map(|problem| Check::problem("registry", problem)).collect(),
    };
    let editor = registry.editor(&context.home);
    let current = match editor.current().await {
        Ok(current) => current,
        Err(error) => return refused(&error),
    };
    let mut checks = Vec::new();
    let (mut entries, mut revoked) = (0, 0);
    for kind in Kind::ALL {
        match editor.list(*kind).await {
            Ok(list) => {
                entries += list.len();
                revoked += list.iter().filter(|entry| entry.revoked.is_some()).count();
            }
            Err(error) => checks.extend(refused(&error)),
        }
    }
    match editor.lagging().await {
        Ok(lagging) => checks.extend(lagging.iter().map(|lag| {
            let detail = format!("the subagent {} holds an older content of {}", lag.subagent, lag.capability);
            Check::warn("registry", detail, format!("agora-admin subagent assign {}", lag.subagent))
        })),
        Err(error) if checks.is_empty() => checks.extend(refused(&error)),
        // The same damage was told of above.
        Err(_) => {}
    }
    let snapshot = &current.snapshot;
    let detail = format!("version {} of {}, {entries} entries, {revoked} revoked", snapshot.version, snapshot.registry);
    checks.insert(0, Check::ok("registry", detail));
    checks
}

fn refused(error: &ChangeError) -> Vec<Check> {
    error.problems().iter().map(|problem| Check::problem("registry", problem)).collect()
}
