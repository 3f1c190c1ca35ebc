//! Pipelines: the order of blocks.

use super::credential::credentials;
use super::field::{Problems, pointer, problem};
use crate::error::Problem;
use crate::registry::artifact::{Block, Lens, Pipeline};
use crate::registry::decode::Artifact;
use crate::registry::kind::Kind;

/// Blocks of a pipeline.
pub const PIPELINE_BLOCKS_MAX: usize = 16;
/// Types of inputs that a pipeline may name.
const INPUT_TYPES_MAX: usize = 64;
/// Bytes of a type's name, or of an input's key.
const TYPE_BYTES_MAX: usize = 128;

impl Artifact for Pipeline {
    const KIND: Kind = Kind::Pipeline;
    const FORMAT: &'static str = "agora-pipeline/v1";
    /// Room for long commands; a pipeline of names alone has a few hundred bytes.
    const BYTES_MAX: usize = 4 << 20;

    fn format(&self) -> &str {
        &self.format
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        if let Some(about) = &self.about {
            problems.line("/about", about);
        }
        problems.limit("/blocks", "the pipeline", "pipeline_blocks_max", PIPELINE_BLOCKS_MAX, self.blocks.len());
        if self.blocks.iter().all(|block| matches!(block, Block::Capture { .. })) {
            problems.push(
                problem("pipeline-shape", "/blocks", "the pipeline has neither an agent nor a script")
                    .hint("add {kind: agent} or {kind: script, command, lens}"),
            );
        }
        let last_capture = self.blocks.iter().rposition(|block| matches!(block, Block::Capture { .. }));
        for (i, block) in self.blocks.iter().enumerate() {
            let at = format!("/blocks/{i}");
            if let Block::Script { command, timeout_seconds, lens: _ } = block {
                problems.command(&format!("{at}/command"), command);
                problems.deadline(&format!("{at}/timeout_seconds"), *timeout_seconds);
            }
            if last_capture.is_some_and(|last| i > last) && !matches!(block, Block::Script { lens: Lens::Verify, .. }) {
                problems.push(
                    problem("pipeline-shape", at, "after the last capture only scripts of lens verify may stand")
                        .hint("what it changes would not be captured, and what it stops is done: move it up"),
                );
            }
        }
        problems.limit("/input_types", "the pipeline", "input_types_max", INPUT_TYPES_MAX, self.input_types.len());
        let inputs = self.input_types.iter().map(|(key, name)| (pointer("/input_types", key), key, name));
        for (at, key, name) in inputs {
            type_name(&mut problems, &at, key);
            type_name(&mut problems, &at, name);
        }
        if let Some(name) = &self.output_type {
            type_name(&mut problems, "/output_type", name);
        }
        problems.0
    }

    fn credentials(&self) -> Vec<Problem> {
        let commands = self.blocks.iter().enumerate().filter_map(|(i, block)| match block {
            Block::Script { command, .. } => Some((format!("/blocks/{i}/command"), command.join(" "))),
            Block::Agent | Block::Capture { .. } => None,
        });
        let about = self.about.iter().map(|about| ("/about".to_owned(), about.clone()));
        commands.chain(about).flat_map(|(at, text)| credentials(&at, text.as_bytes(), &[])).collect()
    }
}

fn type_name(problems: &mut Problems, at: &str, name: &str) {
    if name.is_empty() || name.len() > TYPE_BYTES_MAX || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        problems.push(
            problem("type-syntax", at, format!("a key or type is not 1 to {TYPE_BYTES_MAX} bytes without blanks"))
                .hint("name it as you would a type: `junit-report`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pipeline(blocks: &[Value]) -> Pipeline {
        serde_json::from_value(json!({"format": "agora-pipeline/v1", "blocks": blocks})).unwrap()
    }

    fn check(blocks: &[Value], places: &[&str]) {
        let problems = pipeline(blocks).check();
        assert!(problems.iter().all(|p| p.code == "pipeline-shape" && p.hint.is_some()), "{problems:?}");
        assert_eq!(problems.iter().filter_map(|p| p.at.as_deref()).collect::<Vec<_>>(), places, "{blocks:?}");
    }

    #[test]
    fn blocks_stand_in_an_order_that_makes_sense() {
        let agent = || json!({"kind": "agent"});
        let script = |lens: &str| json!({"kind": "script", "command": ["true"], "lens": lens});
        let capture = |what: &str| json!({"kind": "capture", "what": what});
        check(&[agent()], &[]);
        check(&[script("gate")], &[]);
        check(&[agent(), capture("patch"), script("verify"), capture("outputs"), script("verify")], &[]);
        check(&[script("gate"), agent(), script("gate"), capture("patch")], &[]);
        check(&[], &["/blocks"]);
        check(&[capture("patch")], &["/blocks"]);
        check(&[capture("patch"), agent()], &["/blocks/1"]);
        check(&[agent(), capture("patch"), script("gate"), script("verify"), agent()], &["/blocks/2", "/blocks/4"]);
    }

    #[test]
    fn the_default_pipeline_is_in_order() {
        let verify = crate::registry::VerifyCommand { command: vec!["true".into()], timeout_seconds: 600 };
        for verify in [None, Some(&verify)] {
            let blocks = crate::registry::default_blocks(verify);
            assert_eq!(blocks.len(), 3 + usize::from(verify.is_some()));
            let default = Pipeline { blocks, ..pipeline(&[]) };
            assert_eq!(default.check(), []);
        }
    }

    #[test]
    fn each_cap_at_its_boundary_and_one_beyond() {
        let codes = |p: Pipeline| p.check().into_iter().map(|p| p.code).collect::<Vec<_>>();
        let agents = |n| pipeline(&vec![json!({"kind": "agent"}); n]);
        assert_eq!(codes(agents(PIPELINE_BLOCKS_MAX)), [""; 0]);
        assert_eq!(codes(agents(PIPELINE_BLOCKS_MAX + 1)), ["limit-exceeded"]);
        let script = |seconds: u64, command: Value| {
            pipeline(&[json!({"kind": "script", "command": command, "timeout_seconds": seconds, "lens": "gate"})])
        };
        assert_eq!(codes(script(1, json!(["true"]))), [""; 0]);
        assert_eq!(codes(script(super::super::COMMAND_SECONDS_MAX, json!(["true"]))), [""; 0]);
        assert_eq!(codes(script(0, json!(["true"]))), ["limit-exceeded"]);
        assert_eq!(codes(script(super::super::COMMAND_SECONDS_MAX + 1, json!(["true"]))), ["limit-exceeded"]);
        assert_eq!(codes(script(1, json!([]))), ["command-empty"]);
        assert_eq!(codes(script(1, json!(["", "a"]))), ["command-empty"]);
        assert_eq!(codes(script(1, json!(["a", "b\0"]))), ["command-syntax"]);
        assert_eq!(codes(script(1, json!(vec!["a"; super::super::ARGS_MAX]))), [""; 0]);
        assert_eq!(codes(script(1, json!(vec!["a"; super::super::ARGS_MAX + 1]))), ["limit-exceeded"]);
    }

    #[test]
    fn types_are_plain_names_and_commands_are_scanned() {
        let mut typed = pipeline(&[json!({"kind": "agent"})]);
        typed.output_type = Some("junit-report".into());
        typed.input_types = [("patch".to_owned(), "git".to_owned())].into();
        assert_eq!(typed.check(), []);
        typed.output_type = Some("two words".into());
        typed.input_types = [(String::new(), "git".to_owned())].into();
        assert_eq!(typed.check().len(), 2);
        let token = ["np", "m_", &"a1".repeat(18)].concat();
        let script = |arg: &str| pipeline(&[json!({"kind": "script", "command": ["npm", arg], "lens": "gate"})]);
        assert_eq!(script("test").credentials(), []);
        assert_eq!(script(&token).credentials()[0].at.as_deref(), Some("/blocks/0/command"));
    }
}
