//! Subagents: the program, what it is told, what it may use, where it runs.

use super::credential::credentials;
use super::field::{Problems, pointer, problem};
use crate::error::Problem;
use crate::id::Name;
use crate::registry::artifact::{Model, Requirement, Runtime, Subagent};
use crate::registry::decode::Artifact;
use crate::registry::kind::Kind;

/// Capabilities of a subagent.
pub const SUBAGENT_CAPABILITIES_MAX: usize = 32;
/// Env bundles of a subagent: of those always applied, and of those a plan may add.
pub const SUBAGENT_BUNDLES_MAX: usize = 16;
/// Bytes of a model's id.
pub const MODEL_BYTES_MAX: usize = 128;
/// Pipelines, models, targets, requirements and expected inputs of a subagent, each: lists that people read.
const LIST_MAX: usize = 64;
/// Bytes of a glob, of a program's name and of an input's name.
const WORD_BYTES_MAX: usize = 256;

impl Artifact for Subagent {
    const KIND: Kind = Kind::Subagent;
    const FORMAT: &'static str = "agora-subagent/v1";
    /// Prompts are blobs of their own: long commands are the largest part.
    const BYTES_MAX: usize = 4 << 20;

    fn format(&self) -> &str {
        &self.format
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        self.check_words(&mut problems);
        self.check_program(&mut problems);
        self.check_lists(&mut problems);
        self.check_targets(&mut problems);
        for (i, requirement) in self.requires.iter().enumerate() {
            check_requirement(&mut problems, &format!("/requires/{i}"), requirement);
        }
        self.check_limits(&mut problems);
        problems.0
    }

    fn credentials(&self) -> Vec<Problem> {
        let expects = self.expects.iter().map(|(key, line)| (pointer("/expects", key), line.clone()));
        let about = self.about.iter().map(|about| ("/about".to_owned(), about.clone()));
        let verify = self.verify.iter().map(|verify| ("/verify/command".to_owned(), verify.command.join(" ")));
        let argv = [("/argv".to_owned(), self.argv.join(" "))];
        let all = expects.chain(about).chain(verify).chain(argv);
        all.flat_map(|(at, text)| credentials(&at, text.as_bytes(), &[])).collect()
    }
}

impl Subagent {
    fn check_words(&self, problems: &mut Problems) {
        if let Some(about) = &self.about {
            problems.line("/about", about);
        }
        problems.limit("/expects", "the subagent", "list_max", LIST_MAX, self.expects.len());
        for (key, line) in &self.expects {
            let at = pointer("/expects", key);
            if key.is_empty() || key.len() > WORD_BYTES_MAX || key.chars().any(char::is_control) {
                let message = format!("the input's name is not 1 to {WORD_BYTES_MAX} bytes without control characters");
                problems.push(problem("name-syntax", &at, message).hint("name it as the template does"));
            }
            problems.line(&at, line);
        }
        if self.system_prompt.is_none() && self.template.is_none() {
            problems.push(
                problem("prompt-missing", "/template", "the subagent has neither a system prompt nor a template")
                    .hint("add at least one: system_prompt, template, or their …_file"),
            );
        }
    }

    fn check_program(&self, problems: &mut Problems) {
        match (self.runtime, self.argv.is_empty()) {
            (Runtime::Command, _) => problems.command("/argv", &self.argv),
            (_, true) => {}
            (runtime, false) => problems.push(
                problem("argv-unexpected", "/argv", format!("the runtime {} makes its own command", runtime.as_str()))
                    .hint("leave argv out, or use runtime = \"command\""),
            ),
        }
        if let Some(verify) = &self.verify {
            problems.command("/verify/command", &verify.command);
            problems.deadline("/verify/timeout_seconds", verify.timeout_seconds);
        }
        check_model(problems, "/model", &self.model);
        let models = self.models.as_deref().unwrap_or_default();
        problems.limit("/models", "the subagent", "list_max", LIST_MAX, models.len());
        problems.once("/models", models.iter().map(|m| m.0.as_str()));
        for (i, model) in models.iter().enumerate() {
            check_model(problems, &format!("/models/{i}"), model);
        }
    }

    fn check_lists(&self, problems: &mut Problems) {
        let capabilities = self.capabilities.len();
        problems.limit(
            "/capabilities",
            "the subagent",
            "subagent_capabilities_max",
            SUBAGENT_CAPABILITIES_MAX,
            capabilities,
        );
        problems.once("/capabilities", self.capabilities.iter().map(|c| c.name.as_str()));
        for (at, names, limit, max) in [
            ("/env", &self.env, "subagent_bundles_max", SUBAGENT_BUNDLES_MAX),
            ("/may_add_env", &self.may_add_env, "subagent_bundles_max", SUBAGENT_BUNDLES_MAX),
            ("/may_use_pipelines", &self.may_use_pipelines, "list_max", LIST_MAX),
        ] {
            problems.limit(at, "the subagent", limit, max, names.len());
            problems.once(at, names.iter().map(Name::as_str));
        }
    }

    fn check_targets(&self, problems: &mut Problems) {
        if self.targets.is_empty() {
            problems.push(
                problem("targets-empty", "/targets", "the subagent names no target, so it could run nowhere")
                    .hint("name its targets, or write targets = [\"*\"]"),
            );
        }
        problems.limit("/targets", "the subagent", "list_max", LIST_MAX, self.targets.len());
        problems.once("/targets", self.targets.iter().map(String::as_str));
        for (i, target) in self.targets.iter().enumerate() {
            let at = format!("/targets/{i}");
            if target == "*" && self.targets.len() > 1 {
                problems.push(
                    problem("target-any", at, "\"*\" stands beside names")
                        .hint("write [\"*\"] alone, or the names alone"),
                );
            } else if target != "*"
                && let Err(error) = Name::new(target.as_str())
            {
                problems
                    .push(problem("name-syntax", at, error.to_string()).hint("use the target's name in agora.toml"));
            }
        }
    }

    fn check_limits(&self, problems: &mut Problems) {
        let limits = &self.limits;
        // A budget of nothing is a way to say "free runtimes only"; no time, memory or disk is only a mistake.
        for (name, value) in [
            ("wall_seconds", limits.wall_seconds),
            ("idle_seconds", limits.idle_seconds),
            ("setup_seconds", limits.setup_seconds),
            ("memory_mib", limits.memory_mib),
            ("cpu_milli", limits.cpu_milli),
            ("pids", limits.pids),
            ("disk_mib", limits.disk_mib),
            ("patch_mib", limits.patch_mib),
            ("output_mib", limits.output_mib),
            ("turns", limits.turns),
        ] {
            if value == Some(0) {
                let at = format!("/limits/{name}");
                problems.push(
                    problem("limit-zero", at, format!("{name} is 0: no attempt could run"))
                        .hint("leave it out, or give at least 1"),
                );
            }
        }
    }
}

/// A level, or a provider's own id. It becomes an argument of a program: no blanks, and no dash in front.
fn check_model(problems: &mut Problems, at: &str, model: &Model) {
    let id = model.0.as_bytes();
    let plain = id.iter().all(|b| (0x21..=0x7E).contains(b));
    if id.is_empty() || id.len() > MODEL_BYTES_MAX || !plain || id[0] == b'-' {
        let message =
            format!("the model is not fast, standard, max or an id of 1 to {MODEL_BYTES_MAX} printable characters");
        problems.push(problem("model-syntax", at, message).hint("use a level, or the id as the provider writes it"));
    }
}

fn check_requirement(problems: &mut Problems, at: &str, requirement: &Requirement) {
    let word_fits =
        |word: &str| !word.is_empty() && word.len() <= WORD_BYTES_MAX && !word.chars().any(char::is_control);
    let (wrong, hint) = match requirement {
        Requirement::Paths { glob, min } => {
            let inside = !glob.starts_with('/') && glob.split('/').all(|part| part != "..");
            (
                !word_fits(glob) || !inside || *min == 0,
                "give a glob below the workspace, such as `src/**/*.rs`, and a min of at least 1",
            )
        }
        Requirement::Exec { bin } => {
            (!word_fits(bin) || bin.contains('/'), "give a program's name, such as `cargo`, without a folder")
        }
        Requirement::Git { needs: _ } => return,
    };
    if wrong {
        problems
            .push(problem("requirement-syntax", at, "the requirement can never be met as it is written").hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::id::Digest;

    fn with(change: Value) -> Vec<Problem> {
        let mut subagent = json!({"format": "agora-subagent/v1", "runtime": "command", "argv": ["true"], "targets": ["*"],
            "template": Digest::of(b"").to_string()});
        for (key, value) in change.as_object().unwrap() {
            subagent[key] = value.clone();
        }
        subagent.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        serde_json::from_value::<Subagent>(subagent).unwrap().check()
    }

    fn check(change: Value, expected: &[(&str, &str)]) {
        let problems = with(change.clone());
        let got: Vec<_> = problems.iter().map(|p| (p.code.as_str(), p.at.as_deref().unwrap())).collect();
        assert_eq!(got, expected, "{change}");
        assert!(problems.iter().all(|p| p.hint.is_some()));
    }

    #[test]
    fn the_program_and_what_it_is_told() {
        check(json!({}), &[]);
        check(json!({"argv": null}), &[("command-empty", "/argv")]);
        check(json!({"runtime": "codex"}), &[("argv-unexpected", "/argv")]);
        check(json!({"runtime": "codex", "argv": null}), &[]);
        check(json!({"template": null}), &[("prompt-missing", "/template")]);
        check(json!({"template": null, "system_prompt": Digest::of(b"").to_string()}), &[]);
        check(
            json!({"verify": {"command": ["true"], "timeout_seconds": 0}}),
            &[("limit-exceeded", "/verify/timeout_seconds")],
        );
        check(json!({"about": "a\nb"}), &[("line-syntax", "/about")]);
        check(json!({"about": "x".repeat(512), "expects": {"file": "which"}}), &[]);
        check(json!({"about": "x".repeat(513)}), &[("limit-exceeded", "/about")]);
        check(json!({"expects": {"": "which"}}), &[("name-syntax", "/expects/")]);
    }

    #[test]
    fn models_are_levels_or_ids() {
        for model in ["fast", "max", "claude-x[1m]", "arn:aws:bedrock:eu/x"] {
            check(json!({"model": model, "models": [model]}), &[]);
        }
        for model in ["", "--yolo", "two words", "é"] {
            check(
                json!({"model": model, "models": [model]}),
                &[("model-syntax", "/model"), ("model-syntax", "/models/0")],
            );
        }
        check(json!({"model": "m".repeat(128)}), &[]);
        check(json!({"model": "m".repeat(129)}), &[("model-syntax", "/model")]);
        check(json!({"models": ["fast", "fast"]}), &[("name-duplicate", "/models/1")]);
        check(json!({"models": []}), &[]);
    }

    #[test]
    fn targets_are_named_or_any_is_written_out() {
        check(json!({"targets": []}), &[("targets-empty", "/targets")]);
        check(json!({"targets": ["local", "docker"]}), &[]);
        check(json!({"targets": ["*", "docker"]}), &[("target-any", "/targets/0")]);
        check(json!({"targets": ["Docker"]}), &[("name-syntax", "/targets/0")]);
        check(json!({"targets": ["a", "a"]}), &[("name-duplicate", "/targets/1")]);
    }

    #[test]
    fn each_cap_at_its_boundary_and_one_beyond() {
        let names = |n: usize| (0..n).map(|i| format!("n{i}")).collect::<Vec<_>>();
        let capabilities = |n: usize| {
            let one = |name: String| json!({"name": name, "digest": Digest::of(b"").to_string()});
            names(n).into_iter().map(one).collect::<Vec<_>>()
        };
        check(json!({"capabilities": capabilities(32), "env": names(16), "may_add_env": names(16)}), &[]);
        check(json!({"capabilities": capabilities(33)}), &[("limit-exceeded", "/capabilities")]);
        check(json!({"env": names(17)}), &[("limit-exceeded", "/env")]);
        check(json!({"may_add_env": names(17)}), &[("limit-exceeded", "/may_add_env")]);
        check(json!({"may_use_pipelines": names(64), "targets": names(64)}), &[]);
        check(
            json!({"may_use_pipelines": names(65), "targets": names(65)}),
            &[("limit-exceeded", "/may_use_pipelines"), ("limit-exceeded", "/targets")],
        );
        check(json!({"env": ["a", "a"]}), &[("name-duplicate", "/env/1")]);
        check(json!({"limits": {"wall_seconds": 1, "cost_microusd": 0}}), &[]);
        check(json!({"limits": {"wall_seconds": 0}}), &[("limit-zero", "/limits/wall_seconds")]);
    }

    #[test]
    fn requirements_can_be_met() {
        check(
            json!({"requires": [{"kind": "paths", "glob": "src/**"}, {"kind": "exec", "bin": "cargo"}, {"kind": "git", "needs": "history"}]}),
            &[],
        );
        for requirement in [
            json!({"kind": "paths", "glob": "/etc/*"}),
            json!({"kind": "paths", "glob": "a/../../b"}),
            json!({"kind": "paths", "glob": "a", "min": 0}),
            json!({"kind": "paths", "glob": ""}),
            json!({"kind": "exec", "bin": "bin/cargo"}),
        ] {
            check(json!({"requires": [requirement]}), &[("requirement-syntax", "/requires/0")]);
        }
    }

    #[test]
    fn commands_and_lines_are_scanned() {
        let token = ["np", "m_", &"a1".repeat(18)].concat();
        let subagent = |arg: &str| -> Subagent {
            serde_json::from_value(json!({"format": "agora-subagent/v1", "runtime": "command", "argv": ["npm", arg],
                "verify": {"command": ["npm", arg]}, "expects": {"a": arg}, "targets": ["*"]}))
            .unwrap()
        };
        assert_eq!(subagent("test").credentials(), []);
        let places: Vec<_> = subagent(&token).credentials().into_iter().filter_map(|p| p.at).collect();
        assert_eq!(places, ["/expects/a", "/verify/command", "/argv"]);
    }
}
