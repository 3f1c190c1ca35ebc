//! Order, layers, cycles and ancestors of a graph of items, by position in the plan.
//!
//! Every walk is iterative and touches each item and each dependency a fixed number of times: a chain of 20,000 and a
//! fan of 10,000 cost what their size says (C12). Names, codes and messages are the callers'.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// What depends on what, by position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    dependencies: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    edges: usize,
}

/// The graph has no order: some of its items wait for each other. [`Graph::cycles`] names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{stuck} items wait for each other, or for items that do")]
pub struct Cyclic {
    /// How many items have no place in an order.
    pub stuck: usize,
}

impl Graph {
    /// Makes the graph in which item `i` depends on the items at `dependencies[i]`.
    ///
    /// A position named twice counts once; one that does not exist is left out, as callers have reported it by then.
    #[must_use]
    pub fn new(mut dependencies: Vec<Vec<usize>>) -> Self {
        let len = dependencies.len();
        let mut dependents = vec![Vec::new(); len];
        let mut named_by = vec![usize::MAX; len];
        let mut edges = 0;
        for (item, list) in dependencies.iter_mut().enumerate() {
            list.retain(|&on| on < len && std::mem::replace(&mut named_by[on], item) != item);
            edges += list.len();
            for &on in &*list {
                dependents[on].push(item);
            }
        }
        Self { dependencies, dependents, edges }
    }

    /// How many items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dependencies.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dependencies.is_empty()
    }

    /// How many dependencies, all items together.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.edges
    }

    /// What an item depends on directly, in the order given; nothing for a position that does not exist.
    #[must_use]
    pub fn dependencies(&self, item: usize) -> &[usize] {
        self.dependencies.get(item).map_or(&[], Vec::as_slice)
    }

    /// What depends directly on an item, in plan order; nothing for a position that does not exist.
    #[must_use]
    pub fn dependents(&self, item: usize) -> &[usize] {
        self.dependents.get(item).map_or(&[], Vec::as_slice)
    }

    /// Returns all items so that each comes after what it depends on; of those that could come next, the one that
    /// stands first in the plan.
    ///
    /// # Errors
    /// [`Cyclic`] when there is no such order.
    pub fn order(&self) -> Result<Vec<usize>, Cyclic> {
        let order = self.sorted(&mut 0);
        self.complete(order.len()).map(|()| order)
    }

    /// Returns the items in layers: an item stands one layer below the lowest it depends on, in plan order.
    ///
    /// # Errors
    /// [`Cyclic`] when there is no order.
    pub fn layers(&self) -> Result<Vec<Vec<usize>>, Cyclic> {
        let depth = self.depths()?;
        let mut layers = vec![Vec::new(); depth.iter().map(|d| d + 1).max().unwrap_or(0)];
        for (item, &depth) in depth.iter().enumerate() {
            layers[depth].push(item);
        }
        Ok(layers)
    }

    /// Returns a longest chain of items that each depend on the one before; among equals, the first in plan order.
    ///
    /// # Errors
    /// [`Cyclic`] when there is no order.
    pub fn critical_path(&self) -> Result<Vec<usize>, Cyclic> {
        let depth = self.depths()?;
        let deepest = depth.iter().copied().max().unwrap_or(0);
        let mut path: Vec<usize> = depth.iter().position(|&d| d == deepest).into_iter().collect();
        while let Some(&last) = path.last().filter(|&&item| depth[item] > 0) {
            // One exists: the depth of an item is one more than the greatest of these.
            path.extend(self.dependencies[last].iter().copied().filter(|&on| depth[on] + 1 == depth[last]).min());
        }
        path.reverse();
        Ok(path)
    }

    /// Returns all that an item depends on, directly or not, without itself, in the order of [`Graph::order`].
    ///
    /// Costs what the answer holds, not what the graph holds. Items that wait for each other are left out.
    #[must_use]
    pub fn closure(&self, item: usize) -> Vec<usize> {
        let mut waits: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open: Vec<usize> = self.dependencies(item).to_vec();
        while let Some(next) = open.pop() {
            if next != item && !waits.contains_key(&next) {
                waits.insert(next, self.dependencies[next].len());
                open.extend(&self.dependencies[next]);
            }
        }
        // The set holds all that its members wait for, so whatever is next here was next in the whole graph too, and
        // the order is the same.
        let mut ready: BinaryHeap<Reverse<usize>> =
            waits.iter().filter(|(_, waits)| **waits == 0).map(|(item, _)| Reverse(*item)).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(Reverse(done)) = ready.pop() {
            order.push(done);
            for dependent in &self.dependents[done] {
                if let Some(waits) = waits.get_mut(dependent) {
                    *waits -= 1;
                    if *waits == 0 {
                        ready.push(Reverse(*dependent));
                    }
                }
            }
        }
        order
    }

    /// Returns up to `max` cycles, shortest first, each beginning with its first item in plan order and going on to
    /// what that depends on. Empty exactly when there is an order (and for `max` 0).
    ///
    /// Each is a shortest one through some dependency that no other names: items that wait for each other in separate
    /// knots are all named before a second cycle of one knot is, and up to `max` every dependency that is part of a
    /// cycle is part of one that is named.
    #[must_use]
    pub fn cycles(&self, max: usize) -> Vec<Vec<usize>> {
        let knots = self.knots();
        let mut knot_of = vec![usize::MAX; self.len()];
        for (number, knot) in knots.iter().enumerate() {
            for &item in knot {
                knot_of[item] = number;
            }
        }
        let mut named: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut cycles: Vec<Vec<usize>> = Vec::new();
        for first_only in [true, false] {
            for knot in &knots {
                for (item, on) in
                    knot.iter().flat_map(|&item| self.dependencies[item].iter().map(move |&on| (item, on)))
                {
                    if cycles.len() == max {
                        break;
                    }
                    if knot_of[on] != knot_of[item] || named.contains(&(item, on)) {
                        continue;
                    }
                    let cycle = self.cycle_through(item, on, &knot_of);
                    named.extend(cycle.iter().copied().zip(cycle.iter().copied().cycle().skip(1)));
                    cycles.push(cycle);
                    if first_only {
                        break;
                    }
                }
            }
        }
        cycles.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        cycles
    }

    /// Kahn's algorithm; `steps` counts items taken and dependencies followed. Shorter than the graph if it is cyclic.
    fn sorted(&self, steps: &mut u64) -> Vec<usize> {
        let mut waits: Vec<usize> = self.dependencies.iter().map(Vec::len).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(item, _)| Reverse(item)).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse(item)) = ready.pop() {
            *steps += 1;
            order.push(item);
            for &dependent in &self.dependents[item] {
                *steps += 1;
                waits[dependent] -= 1;
                if waits[dependent] == 0 {
                    ready.push(Reverse(dependent));
                }
            }
        }
        order
    }

    fn complete(&self, ordered: usize) -> Result<(), Cyclic> {
        if ordered == self.len() { Ok(()) } else { Err(Cyclic { stuck: self.len() - ordered }) }
    }

    /// How many items stand above each on its longest chain.
    fn depths(&self) -> Result<Vec<usize>, Cyclic> {
        let mut depth = vec![0; self.len()];
        for item in self.order()? {
            depth[item] = self.dependencies[item].iter().map(|&on| depth[on] + 1).max().unwrap_or(0);
        }
        Ok(depth)
    }

    /// Strongly connected components that hold a cycle, by their first item; each in plan order. Tarjan's algorithm
    /// with the call stack written out, since a chain of 20,000 would overflow the real one.
    fn knots(&self) -> Vec<Vec<usize>> {
        const UNSEEN: usize = usize::MAX;
        let len = self.len();
        let (mut index, mut low) = (vec![UNSEEN; len], vec![0; len]);
        let mut on_stack = vec![false; len];
        let (mut stack, mut calls): (Vec<usize>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
        let (mut next_index, mut knots) = (0, Vec::new());
        for root in 0..len {
            if index[root] == UNSEEN {
                calls.push((root, 0));
            }
            while let Some((item, edge)) = calls.pop() {
                if edge == 0 {
                    index[item] = next_index;
                    low[item] = next_index;
                    next_index += 1;
                    stack.push(item);
                    on_stack[item] = true;
                } else {
                    let done = self.dependencies[item][edge - 1];
                    if on_stack[done] {
                        low[item] = low[item].min(low[done]);
                    }
                }
                if let Some(&on) = self.dependencies[item].get(edge) {
                    calls.push((item, edge + 1));
                    if index[on] == UNSEEN {
                        calls.push((on, 0));
                    }
                    continue;
                }
                if low[item] == index[item] {
                    let from = stack.iter().rposition(|&member| member == item).unwrap_or(0);
                    let mut knot = stack.split_off(from);
                    for &member in &knot {
                        on_stack[member] = false;
                    }
                    if knot.len() > 1 || self.dependencies[item].contains(&item) {
                        knot.sort_unstable();
                        knots.push(knot);
                    }
                }
            }
        }
        knots.sort();
        knots
    }

    /// A shortest cycle in which `item` depends on `on`, both of one knot: breadth first from `on` back to `item`.
    fn cycle_through(&self, item: usize, on: usize, knot_of: &[usize]) -> Vec<usize> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::from([(on, on)]);
        let mut open = VecDeque::from([on]);
        while let Some(next) = open.pop_front().filter(|_| !came_from.contains_key(&item)) {
            for &further in self.dependencies[next].iter().filter(|&&further| knot_of[further] == knot_of[item]) {
                if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(further) {
                    entry.insert(next);
                    open.push_back(further);
                }
            }
        }
        let mut cycle = vec![item];
        let mut at = item;
        while at != on {
            at = came_from.get(&at).copied().unwrap_or(on);
            cycle.push(at);
        }
        // Collected backwards: item, …, on. Turned round it is on, …, item, and each depends on the next.
        cycle.reverse();
        let first = cycle.iter().enumerate().min_by_key(|(_, item)| **item).map_or(0, |(place, _)| place);
        cycle.rotate_left(first);
        cycle
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(len: usize) -> Graph {
        Graph::new((0..len).map(|i| i.checked_sub(1).into_iter().collect()).collect())
    }

    fn fan(len: usize) -> Graph {
        Graph::new((0..len).map(|i| if i == 0 { vec![] } else { vec![0] }).collect())
    }

    #[test]
    fn order_layers_and_path_of_small_graphs() {
        struct Case {
            name: &'static str,
            on: Vec<Vec<usize>>,
            order: Vec<usize>,
            layers: Vec<Vec<usize>>,
            path: Vec<usize>,
        }
        let cases = [
            Case { name: "empty", on: vec![], order: vec![], layers: vec![], path: vec![] },
            Case {
                name: "independent",
                on: vec![vec![], vec![]],
                order: vec![0, 1],
                layers: vec![vec![0, 1]],
                path: vec![0],
            },
            Case {
                name: "written backwards",
                on: vec![vec![1], vec![2], vec![]],
                order: vec![2, 1, 0],
                layers: vec![vec![2], vec![1], vec![0]],
                path: vec![2, 1, 0],
            },
            Case {
                name: "diamond with a tail; a dependency named twice",
                on: vec![vec![], vec![0, 0], vec![0], vec![2, 1], vec![]],
                order: vec![0, 1, 2, 3, 4],
                layers: vec![vec![0, 4], vec![1, 2], vec![3]],
                path: vec![0, 1, 3],
            },
            Case {
                name: "the smallest that is free goes first, not the layer",
                on: vec![vec![], vec![0], vec![]],
                order: vec![0, 1, 2],
                layers: vec![vec![0, 2], vec![1]],
                path: vec![0, 1],
            },
        ];
        for case in cases {
            let graph = Graph::new(case.on);
            assert_eq!(graph.order().as_ref(), Ok(&case.order), "{}", case.name);
            assert_eq!(graph.layers().as_ref(), Ok(&case.layers), "{}", case.name);
            assert_eq!(graph.critical_path().as_ref(), Ok(&case.path), "{}", case.name);
            assert_eq!(graph.cycles(10), Vec::<Vec<usize>>::new(), "{}", case.name);
        }
    }

    #[test]
    fn cycles_are_named_shortest_first_and_every_knot_has_one() {
        for (name, on, max, cycles) in [
            ("itself", vec![vec![0]], 10, vec![vec![0]]),
            ("two", vec![vec![1], vec![0]], 10, vec![vec![0, 1]]),
            ("follows depends_on", vec![vec![2], vec![0], vec![1]], 10, vec![vec![0, 2, 1]]),
            ("two through one", vec![vec![1, 2], vec![0], vec![0]], 10, vec![vec![0, 1], vec![0, 2]]),
            (
                "long with a short cut",
                vec![vec![1], vec![2], vec![3, 0], vec![0]],
                10,
                vec![vec![0, 1, 2], vec![0, 1, 2, 3]],
            ),
            ("a tail is no part", vec![vec![1], vec![2], vec![1]], 10, vec![vec![1, 2]]),
            (
                "one of each knot first",
                vec![vec![1, 2], vec![0], vec![0], vec![4], vec![3]],
                2,
                vec![vec![0, 1], vec![3, 4]],
            ),
            ("none wanted", vec![vec![0]], 0, vec![]),
        ] {
            let graph = Graph::new(on);
            assert_eq!(graph.cycles(max), cycles, "{name}");
            assert!(graph.order().is_err(), "{name}");
        }
    }

    #[test]
    fn an_order_that_is_missing_says_how_many_items_are_stuck() {
        assert_eq!(Graph::new(vec![vec![1], vec![0], vec![0], vec![]]).order(), Err(Cyclic { stuck: 3 }));
    }

    #[test]
    fn closure_is_all_above_in_order() {
        let graph = Graph::new(vec![vec![], vec![0], vec![0], vec![2, 1], vec![]]);
        assert_eq!(graph.closure(3), [0, 1, 2]);
        assert_eq!(graph.closure(0), Vec::<usize>::new());
        assert_eq!(graph.closure(99), Vec::<usize>::new());
    }

    #[test]
    fn a_chain_of_20_000_and_a_fan_of_10_000_need_no_stack() {
        let chain = chain(20_000);
        assert_eq!(chain.layers().map(|layers| layers.len()), Ok(20_000));
        assert_eq!(chain.critical_path().map(|path| path.len()), Ok(20_000));
        assert_eq!(chain.closure(19_999).len(), 19_999);
        let fan = fan(10_000);
        assert_eq!(fan.layers().map(|layers| layers.iter().map(Vec::len).collect()), Ok(vec![1, 9_999]));
        let ring = Graph::new((0..20_000).map(|i| vec![(i + 1) % 20_000]).collect());
        assert_eq!(ring.cycles(10), [(0..20_000).collect::<Vec<_>>()]);
    }

    #[test]
    fn twice_the_items_are_twice_the_steps() {
        let steps = |graph: Graph| {
            let mut steps = 0;
            assert_eq!(graph.sorted(&mut steps).len(), graph.len());
            assert_eq!(steps, (graph.len() + graph.edges()) as u64);
            steps
        };
        for shape in [chain, fan] {
            let (small, large) = (steps(shape(10_000)), steps(shape(20_000)));
            assert!((2 * small - 1..=2 * small + 1).contains(&large), "{small} {large}");
        }
    }

    prop_compose! {
        /// Any graph, cycles and all: a pair is a dependency.
        fn any_graph()(len in 1..24_usize)(
            pairs in prop::collection::vec((0..len, 0..len), 0..3 * len), len in Just(len),
        ) -> Graph {
            let mut on = vec![Vec::new(); len];
            for (item, other) in pairs {
                on[item].push(other);
            }
            Graph::new(on)
        }
    }

    prop_compose! {
        /// A graph that has an order, its items shuffled.
        fn acyclic()(len in 1..24_usize)(
            pairs in prop::collection::vec((0..len, 0..len), 0..3 * len),
            names in Just((0..len).collect::<Vec<_>>()).prop_shuffle(),
        ) -> Graph {
            let mut on = vec![Vec::new(); names.len()];
            for (a, b) in pairs.into_iter().filter(|(a, b)| a != b) {
                on[names[a.max(b)]].push(names[a.min(b)]);
            }
            Graph::new(on)
        }
    }

    /// Whether some item reaches itself, the slow and obvious way.
    fn has_cycle(graph: &Graph) -> bool {
        let mut reach: Vec<BTreeSet<usize>> =
            (0..graph.len()).map(|i| graph.dependencies(i).iter().copied().collect()).collect();
        for _ in 0..graph.len() {
            for i in 0..graph.len() {
                let more: BTreeSet<usize> = reach[i].iter().flat_map(|&on| reach[on].clone()).collect();
                reach[i].extend(more);
            }
        }
        (0..graph.len()).any(|i| reach[i].contains(&i))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_cycle_is_found_exactly_when_there_is_one(graph in any_graph()) {
            let cycles = graph.cycles(1_000);
            prop_assert_eq!(has_cycle(&graph), !cycles.is_empty());
            prop_assert_eq!(graph.order().is_ok(), cycles.is_empty());
            let mut distinct = BTreeSet::new();
            for cycle in cycles {
                for (place, item) in cycle.iter().enumerate() {
                    let next = cycle[(place + 1) % cycle.len()];
                    prop_assert!(graph.dependencies(*item).contains(&next));
                }
                prop_assert_eq!(cycle.iter().collect::<BTreeSet<_>>().len(), cycle.len());
                prop_assert_eq!(cycle.iter().min(), cycle.first());
                prop_assert!(distinct.insert(cycle));
            }
        }

        #[test]
        fn an_order_puts_each_item_after_what_it_depends_on(graph in acyclic()) {
            let order = graph.order().unwrap();
            let mut rank = vec![usize::MAX; graph.len()];
            for (place, item) in order.iter().enumerate() {
                rank[*item] = place;
            }
            for item in 0..graph.len() {
                prop_assert!(graph.dependencies(item).iter().all(|on| rank[*on] < rank[item]));
            }
            // Nothing could have been swapped to an earlier place: of two neighbours in the wrong order, the second
            // depends on the first.
            for pair in order.windows(2) {
                prop_assert!(pair[0] < pair[1] || graph.dependencies(pair[1]).contains(&pair[0]));
            }
            let layers = graph.layers().unwrap();
            prop_assert_eq!(layers.iter().map(Vec::len).sum::<usize>(), graph.len());
            prop_assert_eq!(graph.critical_path().unwrap().len(), layers.len());
        }

        #[test]
        fn a_closure_has_the_order_of_the_whole(graph in acyclic(), item in 0..24_usize) {
            let item = item % graph.len();
            let mut above = BTreeSet::new();
            let mut open = graph.dependencies(item).to_vec();
            while let Some(next) = open.pop() {
                if above.insert(next) {
                    open.extend(graph.dependencies(next));
                }
            }
            let expected: Vec<usize> = graph.order().unwrap().into_iter().filter(|i| above.contains(i)).collect();
            prop_assert_eq!(graph.closure(item), expected);
        }
    }
}
