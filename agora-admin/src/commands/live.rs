//! The table of a run that is drawn again and again on a terminal.

use std::time::{Duration, Instant};

use agora_engine::Engine;
use agora_engine::operations::{Caller, ItemRow, RunRow, StatusArgs, View};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::rows;
use crate::error::{Doing as _, Failure};
use crate::output::{Line, Output, Page};

/// Items asked for at a time: more than a terminal has lines.
const ROWS_MAX: u32 = 200;
/// Lines that are left for what is not the table.
const LINES_LEFT: usize = 5;
/// The shortest time between two looks at the store: bursts are joined.
const LOOK_TIME_MIN: Duration = Duration::from_millis(200);
/// What is shown first where not all has room.
const FIRST: [&str; 9] =
    ["running", "stopping", "stopping_unverified", "waiting", "failed", "denied", "ready", "pending", "done"];

/// The table. It goes away when it is dropped.
pub(super) struct Live {
    bar: ProgressBar,
    run: Option<RunRow>,
    items: Vec<ItemRow>,
    total: u64,
    looked: Option<Instant>,
}

impl Live {
    /// Starts with nothing.
    pub(super) fn start(_out: &Output) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        // The template is fixed; without it the bar would show more than the message.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { bar, run: None, items: Vec::new(), total: 0, looked: None }
    }

    /// Looks at the run again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn refresh(&mut self, engine: &Engine, caller: &Caller, run: &str) -> Result<(), Failure> {
        if let Some(looked) = self.looked {
            tokio::time::sleep(LOOK_TIME_MIN.saturating_sub(looked.elapsed())).await;
        }
        let wish = |state: Option<&str>| StatusArgs {
            view: Some(View::Run),
            run_id: Some(run.to_owned()),
            state: state.map(str::to_owned),
            limit: Some(ROWS_MAX),
            ..StatusArgs::default()
        };
        let reply = engine.status(caller, wish(None)).await.doing("look at the run")?;
        self.total = reply.total.unwrap_or(reply.items.len() as u64);
        self.run = reply.run;
        self.items = reply.items;
        if self.total > self.items.len() as u64 {
            // The first page is in plan order, and what happens now may be on another.
            let mut items = Vec::new();
            for state in ["running", "waiting", "failed", "ready"] {
                items.extend(engine.status(caller, wish(Some(state))).await.doing("look at the run")?.items);
            }
            self.items = items;
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Draws what was seen last, with durations as they are now.
    pub(super) fn draw(&mut self, out: &Output) {
        let page = self.page(out.size().1.saturating_sub(LINES_LEFT).max(1));
        let text = out.render(&page);
        self.bar.set_message(text.trim_end().to_owned());
        self.bar.tick();
    }

    fn page(&self, room: usize) -> Page {
        let mut page = Page::default();
        let Some(run) = &self.run else { return page };
        let since = self.looked.map_or(0, |looked| u64::try_from(looked.elapsed().as_millis()).unwrap_or(0));
        let ran = |open: bool, ms: u64| if open { ms.saturating_add(since) } else { ms };
        let mut run = run.clone();
        run.duration_ms = ran(!rows::is_end(&run.state), run.duration_ms);
        page.line(rows::run_line(&run));
        let mut shown: Vec<&ItemRow> = self.items.iter().collect();
        if shown.len() > room {
            // A stable sort: within a state, plan order stays.
            shown.sort_by_key(|item| FIRST.iter().position(|state| *state == item.state).unwrap_or(FIRST.len()));
            shown.truncate(room);
        }
        let now: Vec<ItemRow> = shown.into_iter().cloned().collect();
        let now: Vec<ItemRow> = now
            .into_iter()
            .map(|item| ItemRow {
                duration_ms: item
                    .duration_ms
                    .map(|ms| ran(matches!(item.state.as_str(), "running" | "stopping" | "stopping_unverified"), ms)),
                ..item
            })
            .collect();
        rows::items(&mut page, &now);
        if let Some(more) = self.total.checked_sub(now.len() as u64).filter(|more| *more > 0) {
            page.line(Line::of(format!("… and {more} more")).indent(2));
        }
        page
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use agora_engine::operations::StateCounts;

    use super::*;

    fn item(id: String, state: &str) -> ItemRow {
        ItemRow {
            item_id: id,
            state: state.into(),
            executor: "dispatch".into(),
            attempts: 1,
            depends_on: Vec::new(),
            blocked_by: Vec::new(),
            failure: None,
            detail: None,
            due_to: None,
            duration_ms: Some(1000),
            patch: None,
            outputs: None,
            verified: None,
            question_id: None,
        }
    }

    #[test]
    fn what_happens_now_is_shown_where_not_all_has_room() {
        let run = RunRow {
            run_id: "r".into(),
            state: "open".into(),
            sealed: false,
            held: false,
            collected: None,
            queue: "default".into(),
            actor: "human:a".into(),
            opened: String::new(),
            completed: None,
            duration_ms: 1000,
            items: StateCounts::default(),
            cost_usd: None,
        };
        let mut items: Vec<ItemRow> = (0..10).map(|n| item(format!("d{n}"), "done")).collect();
        items.push(item("now".into(), "running"));
        let live = Live { bar: ProgressBar::hidden(), run: Some(run), items, total: 11, looked: None };
        let few = live.page(3).render(false, Some(80));
        assert!(few.contains("now") && few.contains("… and 8 more"), "{few}");
        assert_eq!(few.lines().count(), 1 + 1 + 3 + 1);
        let all = live.page(20).render(false, Some(80));
        assert!(!all.contains("more") && all.lines().nth(2).unwrap().starts_with("d0"), "{all}");
    }
}
