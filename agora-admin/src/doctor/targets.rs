//! What is really enforced on each target, and the ways out where that is not enough. Nothing falls back by itself.

use std::path::Path;

use agora_core::error::Coded as _;
use agora_core::isolation::Isolation;
use agora_core::seam::ComputeError;
use agora_core::target::{Profile, Target};
use agora_engine::config::Config;

use super::check::Check;

/// Asks the provider of each target.
pub(crate) async fn targets(home: &Path, config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, target) in &config.targets {
        let found = match agora_providers::open(home, target) {
            Ok(provider) => provider.isolation(target).await,
            Err(error) => Err(error),
        };
        checks.push(one(name.as_str(), target, found));
    }
    checks
}

fn one(name: &str, target: &Target, found: Result<(Profile, Isolation), ComputeError>) -> Check {
    match found {
        Ok((Profile::None, _)) => Check::warn(
            "target",
            format!("{name}: profile none: agents here are not confined at all"),
            format!("take none out of targets.{name}.profiles, unless the agents are trusted"),
        ),
        Ok((profile, isolation)) if isolation.weaker.is_empty() && isolation.probes.failed.is_empty() => {
            let detail = format!("{name}: {}, {} probes passed", profile.as_str(), isolation.probes.passed);
            Check::ok("target", detail)
        }
        Ok((profile, isolation)) => {
            let mut weaker = isolation.weaker;
            weaker.extend(isolation.probes.failed.iter().map(|probe| format!("probe {probe} failed")));
            let detail = format!("{name}: {}, weaker than strict: {}", profile.as_str(), weaker.join("; "));
            Check::warn("target", detail, "every run's report says so; see docs/jail.md for what each layer needs")
        }
        Err(error @ ComputeError::Isolation(_)) => {
            let allowed: Vec<&str> = target.profiles.iter().map(|profile| profile.as_str()).collect();
            let detail = format!("{name} is down: none of {} can be had: {error}", allowed.join(", "));
            Check::fail("target", detail, ways_out(name, &target.profiles))
        }
        Err(error) => Check::problem("target", &error.problem()),
    }
}

/// What an operator can do.
fn ways_out(name: &str, profiles: &[Profile]) -> String {
    let wait = "this version has the profile none alone (docs/jail.md)";
    if profiles.contains(&Profile::None) {
        return format!("{wait}, and it could not be had here: see the log in logs/");
    }
    format!(
        "{wait}: to run commands you would run yourself, add \"none\" to targets.{name}.profiles in agora.toml, \
         knowing that it is no wall"
    )
}

#[cfg(test)]
mod tests {
    use agora_core::isolation::{Network, Probes};

    use super::super::check::Status;
    use super::*;

    fn isolation(weaker: &[&str]) -> Isolation {
        Isolation {
            provider: "process".into(),
            profile: "strict".into(),
            weaker: weaker.iter().map(|word| (*word).to_owned()).collect(),
            probes: Probes { passed: 12, ..Probes::default() },
            network: Network { mode: "none".into(), boundary: "netns".into(), ..Network::default() },
            jail: None,
            kernel: None,
            namespaces: Vec::new(),
            no_new_privs: Some(true),
            rlimits: Default::default(),
            tree: None,
            uid_separation: None,
            worker: None,
            more: Default::default(),
        }
    }

    #[test]
    fn what_is_enforced_is_said_and_never_more() {
        let target = Target::default();
        assert_eq!(one("local", &target, Ok((Profile::Strict, isolation(&[])))).status(), Status::Ok);
        let weak = one("local", &target, Ok((Profile::StrictNocg, isolation(&["no-cgroup"]))));
        assert_eq!(weak.status(), Status::Warn);
        assert!(weak.detail().contains("no-cgroup"));
        assert_eq!(one("local", &target, Ok((Profile::None, isolation(&[])))).status(), Status::Warn);
    }

    #[test]
    fn a_target_that_is_down_names_the_ways_out() {
        let down = one("local", &Target::default(), Err(ComputeError::Isolation("no user namespaces".into())));
        assert_eq!(down.status(), Status::Fail);
        assert!(down.detail().contains("strict, strict-nocg") && down.detail().contains("no user namespaces"));
        let remedy = down.remedy().unwrap();
        assert!(remedy.contains("\"none\"") && remedy.contains("targets.local.profiles"), "{remedy}");
    }
}
