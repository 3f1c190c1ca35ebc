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
    // The store first: the registry is read by what the store accepted last, and damage of a store is none of a registry.
    let (looked, closed) = store::store(context, deep).await;
    checks.extend(looked);
    match closed {
        // It would only wait for the store once more.
        Some(failure) => checks.extend(failure.problems.iter().map(|problem| Check::problem("registry", problem))),
        None => checks.extend(registry::registry(context).await),
    }
    once(checks)
}

/// Says an error once, where it is met first: a check that could not be made because of it says only that.
fn once(checks: Vec<Check>) -> Vec<Check> {
    let mut told: Vec<Check> = Vec::new();
    for check in checks {
        let same = |other: &&Check| other.code() == check.code() && other.detail() == check.detail();
        match told.iter().find(same).filter(|_| check.code().is_some()).map(Check::name) {
            None => told.push(check),
            Some(before) if before == check.name() => {}
            Some(before) => {
                let detail = format!("not looked at: what {before} says above stands in the way");
                let untold = Check::unknown(check.name(), detail, format!("mend {before} first"));
                if !told.contains(&untold) {
                    told.push(untold);
                }
            }
        }
    }
    told
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
    use agora_core::error::{Class, Problem};

    use super::*;

    #[test]
    fn a_check_is_a_line_and_its_remedy_another() {
        let mut page = Page::default();
        show(&mut page, &[Check::ok("git", "/usr/bin/git"), Check::fail("disk", "full\nx", "free some")]);
        assert_eq!(page.render(false, None), "ok git /usr/bin/git\nfail disk full x\n     next: free some\n");
    }

    #[test]
    fn an_error_is_told_once_and_what_it_stands_in_the_way_of_is_named() {
        let problem = |code: &'static str| Problem::new(Class::Operator, code, format!("what {code} is"));
        let (one, two) = (problem("config-key"), problem("config-value"));
        let at = |name: &'static str, problem: &Problem| Check::problem(name, problem);
        let told = once(vec![at("config", &one), at("config", &two), at("store", &one), at("store", &two)]);
        assert_eq!(told.iter().map(Check::name).collect::<Vec<_>>(), ["config", "config", "store"]);
        assert_eq!(told.iter().map(Check::status).collect::<Vec<_>>(), [Status::Fail, Status::Fail, Status::Unknown]);
        // Another error of the same code, and lines that are alike and no error, are all told.
        let all = vec![at("config", &one), at("store", &two), Check::ok("git", "x"), Check::ok("git", "x")];
        assert_eq!(once(all.clone()), all);
    }

    #[test]
    fn the_worst_is_what_counts() {
        let mut all = Status::ALL;
        all.sort();
        assert_eq!(all, Status::ALL);
        assert_eq!(Status::ALL.iter().max(), Some(&Status::Fail));
    }
}
