//! The layers of a graph: an item stands one behind the last of those that it depends on.

use super::run::{Run, State};

/// The items by layer, in the order in which they are drawn.
pub(super) struct Layers {
    pub(super) rows: Vec<Vec<usize>>,
    /// Item to its layer and its place there.
    pub(super) places: Vec<(usize, usize)>,
}

impl Layers {
    /// Finds the layers. Within one, items stand near those that they depend on, and else in the order of the plan.
    pub(super) fn of(run: &Run<'_>) -> Self {
        let mut depth: Vec<usize> = Vec::with_capacity(run.items.len());
        for item in &run.items {
            // What an item depends on stands before it, so its depth is known.
            let deepest = item.after.iter().filter_map(|at| depth.get(*at)).max();
            depth.push(deepest.map_or(0, |depth| depth + 1));
        }
        let mut rows = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
        for (at, depth) in depth.iter().enumerate() {
            rows[*depth].push(at);
        }
        let mut places = vec![(0, 0); run.items.len()];
        for (layer, row) in rows.iter_mut().enumerate() {
            row.sort_by_key(|at| (middle(&run.items[*at].after, &places), *at));
            row.iter().enumerate().for_each(|(place, at)| places[*at] = (layer, place));
        }
        Self { rows, places }
    }

    /// How many items the widest layer has.
    pub(super) fn widest(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// The middle of some places, in thousandths: a barycentre without fractions.
fn middle(of: &[usize], places: &[(usize, usize)]) -> usize {
    of.iter().map(|at| places[*at].1 * 1_000).sum::<usize>() / of.len().max(1)
}

/// How many items of each state there are among some.
pub(super) fn states(run: &Run<'_>, items: impl Iterator<Item = usize>) -> Vec<(State, usize)> {
    let mut counts = State::ALL.map(|state| (state, 0));
    for at in items {
        let state = run.items[at].state;
        counts.iter_mut().filter(|(known, _)| *known == state).for_each(|(_, count)| *count += 1);
    }
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}
