//! `gc`: room, by removing the bytes of runs that are long over.

use agora_engine::operations::GcMode;

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Line, Style};

/// The arguments of `gc`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What goes: patches, outputs, logs and reports of sealed runs, and base trees, unless something else needs them. What stays: each run's journal, plan and seal, so that audit and doctor say what they said, and everything of runs whose [retain] days are not over.\n\nPrograms may go on meanwhile. What was put or used within a day stays until a later call.\n\nExamples:\n  agora-admin gc --older-than 30d --dry-run\n  agora-admin gc --older-than 12w"
)]
pub(crate) struct Args {
    /// How long ago a run must have ended: a number and h, d or w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: u64,
    /// Only count; nothing is removed
    #[arg(long)]
    dry_run: bool,
}

/// Milliseconds from `30d`.
fn age(text: &str) -> Result<u64, String> {
    const HOUR_MS: u64 = 60 * 60 * 1000;
    let units = [('h', HOUR_MS), ('d', 24 * HOUR_MS), ('w', 7 * 24 * HOUR_MS)];
    let wrong = || "not a number followed by h, d or w, such as 30d".to_owned();
    let (number, unit) =
        units.into_iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms))).ok_or_else(wrong)?;
    if number.is_empty() || number.len() > 5 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    Ok(number.parse::<u64>().map_err(|_| wrong())? * unit)
}

fn collected(runs: u64, mode: GcMode) -> String {
    let runs = rows::count(runs, "more run");
    match mode {
        GcMode::Remove => format!("({runs} collected)"),
        GcMode::DryRun => format!("({runs} would be collected)"),
    }
}

/// Removes what may go.
///
/// # Errors
/// Why nothing was removed, or not all of it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let mode = if args.dry_run { GcMode::DryRun } else { GcMode::Remove };
    let reply = engine.gc(args.older_than, mode).await.doing("make room")?;
    context.out.reply(&reply, |page| {
        let files = reply.blobs + reply.packs;
        page.line(
            Line::of(if reply.dry_run { "would remove" } else { "removed" })
                .and_style(Style::Bold, rows::size(reply.size_bytes))
                .and(format!("in {}", rows::count(files, "file")))
                .and(if reply.runs.is_empty() { String::new() } else { collected(reply.runs.len() as u64, mode) }),
        );
        if reply.resting > 0 {
            let what = format!("{} put or used within a day: a later call removes what nobody needs", reply.resting);
            page.line(Line::of("stays").indent(5).and(what));
        }
        if reply.retained > 0 {
            let what = format!("{} kept longer by [retain] days", rows::count(reply.retained, "run"));
            page.line(Line::of("stays").indent(5).and(what));
        }
        if reply.dry_run && files > 0 {
            page.next("the same without --dry-run");
        }
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        let hour = 3_600_000;
        assert_eq!([age("0h"), age("30d"), age("2w")], [Ok(0), Ok(720 * hour), Ok(336 * hour)]);
        for wrong in ["", "30", "d", "-1d", "+1d", "1.5d", "30 d", "30m", "999999d", "٣d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
