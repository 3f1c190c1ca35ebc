//! A plan was accepted: the first records of its run.

use crate::id::Enc;
use crate::record::{Added, AddedItem, AddedNeed, GrowthCause, NamedRef, ReadyCause, Record, RunOpened};

/// How many bytes of items, roughly, go into one `items.added`, so that it stays well below the longest entry.
const CHUNK_BYTES: usize = 262_144;

/// Returns the first records of a run: its opening, its items, and the ones that depend on nothing as ready.
#[must_use]
pub fn submit(opened: RunOpened, added: Vec<Added>) -> Vec<Record> {
    let roots: Vec<_> = added
        .iter()
        .flat_map(|chunk| &chunk.items)
        .filter(|item| item.depends_on.is_empty())
        .map(|item| Record::ItemReady { item: item.id.clone(), cause: ReadyCause::Dependencies })
        .collect();
    let mut records = vec![Record::RunOpened(Box::new(opened))];
    records.extend(added.into_iter().map(|chunk| Record::ItemsAdded(Box::new(chunk))));
    records.extend(roots);
    records
}

/// Cuts items into `items.added` records of a bounded size. Each item comes with what it uses from the registry; each
/// record lists what its own items use, sorted, once.
#[must_use]
pub fn added(cause: GrowthCause, source: Option<&Enc>, items: Vec<(AddedItem, Vec<NamedRef>)>) -> Vec<Added> {
    let mut chunks: Vec<Vec<(AddedItem, Vec<NamedRef>)>> = Vec::new();
    let mut room = 0;
    for (item, uses) in items {
        let size = weight(&item);
        if room < size || chunks.is_empty() {
            chunks.push(Vec::new());
            room = CHUNK_BYTES.max(size);
        }
        room -= size;
        if let Some(chunk) = chunks.last_mut() {
            chunk.push((item, uses));
        }
    }
    chunks
        .into_iter()
        .map(|chunk| {
            let mut resolved: Vec<NamedRef> = chunk.iter().flat_map(|(_, uses)| uses.iter().cloned()).collect();
            resolved.sort();
            resolved.dedup();
            let items = chunk
                .into_iter()
                .map(|(mut item, uses)| {
                    let at = |used: &NamedRef| resolved.binary_search(used).map(|at| at as u64).ok();
                    item.uses = uses.iter().filter_map(at).collect();
                    item
                })
                .collect();
            Added { cause, source: source.cloned(), resolved, items }
        })
        .collect()
}

fn weight(item: &AddedItem) -> usize {
    let text = |text: &Enc| text.as_str().len() + 8;
    let need = |need: &AddedNeed| text(&need.key) + need.path.as_ref().map_or(0, text) + need.item.as_str().len() + 40;
    300 + item.id.as_str().len()
        + item.depends_on.iter().map(|dep| dep.as_str().len() + 3).sum::<usize>()
        + item.locks.iter().map(text).sum::<usize>()
        + item.needs.iter().map(need).sum::<usize>()
}
