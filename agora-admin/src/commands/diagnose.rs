//! `diagnose`: why nothing happens.

use agora_engine::operations::{Diagnosis, StatusArgs, View};

use crate::cli::{Context, tool};
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
        if let (Some(run), Some(diagnosis)) = (&reply.run, &reply.diagnosis) {
            show(page, &run.run_id, diagnosis);
        }
    })?;
    Ok(Exit::Done)
}

/// Shows what was found out.
pub(crate) fn show(page: &mut Page, run: &str, diagnosis: &Diagnosis) {
    page.heading(diagnosis.likely_issue.as_str());
    for line in &diagnosis.evidence {
        page.line(Line::of(line).indent(2));
    }
    if !diagnosis.ruled_out.is_empty() {
        page.line(Line::of(Cell::new("ruled out:").style(Style::Dim)).and(diagnosis.ruled_out.join(", ")));
    }
    let next = command(run, diagnosis).or_else(|| tool::verb(&diagnosis.next));
    page.next(next.unwrap_or_else(|| diagnosis.next.clone()));
}

/// The next step as a verb: better than the call of a tool that the engine names. `None` for an issue that this version does not know.
fn command(run: &str, diagnosis: &Diagnosis) -> Option<String> {
    Some(match diagnosis.likely_issue.as_str() {
        "question-open" => "agora-admin status --view inbox".to_owned(),
        "held" => format!("agora-admin release {run}"),
        "no-driver" => "agora-admin serve".to_owned(),
        "queue-gone" => "put the queue back into agora.toml, then agora-admin serve".to_owned(),
        "target-down" | "not-logged" => "agora-admin doctor".to_owned(),
        "stop-unverified" => match diagnosis.evidence.first()?.split_once(": ") {
            Some((item, _)) => format!("agora-admin force-resolve {run} {item} --reason WHY, once nothing of it runs"),
            None => format!("agora-admin status {run}"),
        },
        // Evidence is "ITEM: why"; ids hold no blank.
        "failed" => match diagnosis.evidence.first()?.split_once(": ") {
            Some((item, _)) => format!("agora-admin result {run} {item}, then agora-admin logs {run} {item}"),
            None => format!("agora-admin status {run}"),
        },
        "pattern-failed" => match diagnosis.evidence.first()?.split_once(": ") {
            Some((item, _)) => format!("agora-admin result {run} {item}, then agora-admin status {run}"),
            None => format!("agora-admin status {run}"),
        },
        "all-done" | "cancelled" => format!("agora-admin status {run}"),
        "stopping" | "lock-held" | "back-off" | "slots-full" | "nothing-wrong" => {
            format!("agora-admin watch {run}")
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
        show(&mut page, "r1", &Diagnosis { likely_issue, evidence, ruled_out: Vec::new(), next });
        page.render(false, None).lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_next_step_is_a_verb_of_this_program() {
        assert_eq!(next("held", "a: hold", "call it"), "next: agora-admin release r1");
        assert_eq!(next("lock-held", "a: lock", "call it"), "next: agora-admin watch r1");
        assert_eq!(next("all-done", "the run is done", "call it"), "next: agora-admin status r1");
        assert_eq!(next("cancelled", "the run is cancelled", "call it"), "next: agora-admin status r1");
        let forced = next("stop-unverified", "a: attempt 1, box b", "call it");
        assert_eq!(forced, "next: agora-admin force-resolve r1 a --reason WHY, once nothing of it runs");
        let failed = next("failed", "a:b: agent: agent-exit", "call it");
        assert_eq!(failed, "next: agora-admin result r1 a:b, then agora-admin logs r1 a:b");
        assert_eq!(next("new-in-a-later-version", "x", "call it"), "next: call it");
        let audit = next("new-in-a-later-version", "x", r#"audit {"run_id":"r1"}"#);
        assert_eq!(audit, "next: agora-admin audit r1");
    }
}
