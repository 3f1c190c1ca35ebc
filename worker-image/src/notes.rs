//! The notes: what an agent has to know of where it is, in some fifteen lines with the real paths.

use crate::environment::Places;

/// Writes the notes.
pub(crate) fn notes(places: &Places<'_>, inputs: &[String], may_ask: bool, system_prompt: bool) -> String {
    let show = |path: &std::path::Path| path.display().to_string();
    let mut lines = vec![
        "# Notes from agora".to_owned(),
        String::new(),
        format!(
            "- You work in {}. What you change there becomes a patch; you need not commit.",
            show(places.workspace)
        ),
        format!("- Inputs lie in {}: {}.", show(places.inputs), listed(inputs)),
        format!("- Put files to hand out into {} (at most 256).", show(places.outputs)),
        "- Not captured: .git, .agora, what .gitignore matches, sockets and devices.".to_owned(),
        "- When you end, everything you started is ended too. Nothing but the patch and the outputs is kept."
            .to_owned(),
        format!(
            "- {} is an empty home, {} is for temporary files; both are thrown away.",
            show(places.home),
            show(places.tmp)
        ),
        "- Out of reach: other items' workspaces, the network unless it was granted, credentials.".to_owned(),
    ];
    if system_prompt {
        lines.push(format!(
            "- Your standing instructions lie in {}.",
            show(&places.notes.with_file_name("system-prompt.md"))
        ));
    }
    if may_ask {
        lines.extend([
            "- If you cannot go on without a decision, write .agora/needs_input.json in the workspace and end:"
                .to_owned(),
            "  {\"question\": \"...\", \"options\": [\"...\"], \"context\": \"...\", \"partial_state\": {}}".to_owned(),
            "  Only question is required. You will be started again with the answer in the input `answer`,".to_owned(),
            "  your changes so far, and partial_state in the input `partial_state`.".to_owned(),
        ]);
    }
    lines.join("\n") + "\n"
}

fn listed(inputs: &[String]) -> String {
    /// More would bury the rest; the folder can be listed.
    const SHOWN: usize = 20;
    match inputs.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{} and {} more", inputs[..SHOWN].join(", "), n - SHOWN),
        _ => inputs.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn how_to_ask_is_told_only_to_who_may() {
        let places = Places {
            workspace: Path::new("/w"),
            home: Path::new("/h"),
            tmp: Path::new("/t"),
            inputs: Path::new("/i"),
            outputs: Path::new("/o"),
            notes: Path::new("/w/.agora/notes.md"),
        };
        let text = notes(&places, &["patch".to_owned()], true, true);
        assert!(
            text.contains("needs_input.json")
                && text.contains("/i: patch.")
                && text.contains("/w/.agora/system-prompt.md")
        );
        let text = notes(&places, &[], false, false);
        assert!(!text.contains("needs_input.json") && text.contains("/i: none.") && !text.contains("system-prompt"));
    }
}
