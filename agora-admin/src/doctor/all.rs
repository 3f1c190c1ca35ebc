//! All checks in their order, and how people are shown them.

use agora_engine::config::{Config, Machine};

use super::check::{Check, Status};
use super::{files, machine, registry, store, targets};
use crate::cli::Context;
use crate::output::{Cell, Line, Page, Style};

/// Makes all checks, from what everything else needs upwards.
pub(crate) async fn all(context: &Context, deep: bool) -> Vec<Check> {
    let mut checks = machine::programs();
    checks.push(machine::git());
    checks.push(machine::clock(crate::cli::now()));
    if let Err(failure) = context.need_home() {
        checks.extend(failure.problems.iter().map(|problem| Check::problem("home", problem)));
        return checks;
    }
    checks.extend(files::home(&context.home));
    checks.extend(files::keys(&context.home));
    checks.push(machine::disk(&context.home));
    match Config::load(&context.home, &Machine::this()) {
        Ok(config) => {
            checks.push(registry::config(&config));
            checks.extend(registry::workspaces(&config));
            checks.extend(targets::targets(&context.home, &config).await);
        }
        Err(error) => checks.extend(registry::config_problems(&error)),
    }
    checks.extend(registry::registry(context).await);
    checks.extend(store::store(context, deep).await);
    checks
}

/// Shows checks, a line each, with the remedy below.
pub(crate) fn show<'c>(page: &mut Page, checks: impl IntoIterator<Item = &'c Check>) {
    for check in checks {
        let style = match check.status() {
            Status::Ok => Style::Good,
            Status::Warn | Status::Unknown => Style::Warn,
            Status::Fail => Style::Bad,
        };
        page.line(
            Line::of(Cell::new(check.status().word()).style(style))
                .and_style(Style::Bold, check.name())
                .and(check.detail()),
        );
        if let Some(remedy) = check.remedy() {
            page.line(Line::of(Cell::new("next:").style(Style::Dim)).and(remedy).indent(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_and_its_remedy_another() {
        let mut page = Page::default();
        show(&mut page, &[Check::ok("git", "/usr/bin/git"), Check::fail("disk", "full\nx", "free some")]);
        assert_eq!(page.render(false, None), "ok git /usr/bin/git\nfail disk full x\n     next: free some\n");
    }

    #[test]
    fn the_worst_is_what_counts() {
        let mut all = Status::ALL;
        all.sort();
        assert_eq!(all, Status::ALL);
        assert_eq!(Status::ALL.iter().max(), Some(&Status::Fail));
    }
}
