//! `diagnose`: why nothing happens.

use agora_engine::operations::{Diagnosis, StatusArgs, View};

use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// The arguments of `diagnose`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  agora-admin --field diagnosis.likely_issue diagnose RUN")]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: String,
}

/// Says why nothing happens.
///
/// # Errors
/// For a run that is not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let wish = StatusArgs { view: Some(View::Diagnose), run_id: Some(args.run.clone()), ..StatusArgs::default() };
    let reply = engine.status(&context.caller()?, wish).await.doing(format!("diagnose {}", args.run))?;
    context.out.reply(&reply, |page| {
        if let Some(diagnosis) = &reply.diagnosis {
            show(page, diagnosis);
        }
    })?;
    Ok(Exit::Done)
}

/// Shows what was found out.
pub(crate) fn show(page: &mut Page, diagnosis: &Diagnosis) {
    page.heading(diagnosis.likely_issue.as_str());
    for line in &diagnosis.evidence {
        page.line(Line::of(line).indent(2));
    }
    if !diagnosis.ruled_out.is_empty() {
        page.line(Line::of(Cell::new("ruled out:").style(Style::Dim)).and(diagnosis.ruled_out.join(", ")));
    }
    page.next(command(diagnosis).unwrap_or_else(|| diagnosis.next.clone()));
}

/// The next step as a verb: the engine names the tool's call. `None` for an issue that this version does not know.
fn command(diagnosis: &Diagnosis) -> Option<String> {
    let run = || diagnosis.next.split_once("\"run_id\": \"")?.1.split_once('"').map(|(run, _)| run);
    Some(match diagnosis.likely_issue.as_str() {
        "question-open" => "agora-admin status --view inbox".to_owned(),
        "held" => format!("agora-admin release {}", run()?),
        "no-driver" => "agora-admin serve".to_owned(),
        "target-down" => "agora-admin doctor".to_owned(),
        // Evidence is "ITEM: why"; ids hold no blank.
        "failed" => match diagnosis.evidence.first()?.split_once(": ") {
            Some((item, _)) => format!("agora-admin result {0} {item}, then agora-admin logs {0} {item}", run()?),
            None => format!("agora-admin status {}", run()?),
        },
        "all-done" | "cancelled" => format!("agora-admin status {}", run()?),
        "stopping" | "lock-held" | "back-off" | "slots-full" | "nothing-wrong" => {
            format!("agora-admin watch {}", run()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(issue: &str, evidence: &str, next: &str) -> String {
        let (likely_issue, evidence, next) = (issue.to_owned(), vec![evidence.to_owned()], next.to_owned());
        let mut page = Page::default();
        show(&mut page, &Diagnosis { likely_issue, evidence, ruled_out: Vec::new(), next });
        page.render(false, None).lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_next_step_is_a_verb_of_this_program() {
        let call = |tool: &str| format!("{tool} {{\"run_id\": \"r1\"}}");
        assert_eq!(next("held", "a: hold", &call("answer")), "next: agora-admin release r1");
        assert_eq!(next("lock-held", "a: lock", &call("watch")), "next: agora-admin watch r1");
        let failed = next("failed", "a:b: agent: agent-exit", &call("result"));
        assert_eq!(failed, "next: agora-admin result r1 a:b, then agora-admin logs r1 a:b");
        assert_eq!(next("new-in-a-later-version", "x", "call it"), "next: call it");
    }
}
