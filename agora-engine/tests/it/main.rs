//! The engine as a whole: real journal, keys, registry and trees; fake providers.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

mod approving;
mod bounds;
mod clock;
#[expect(dead_code, reason = "the bench uses more of it")]
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod diagnosing;
mod driving;
mod evidence;
mod flow;
mod gc;
mod growing;
mod hostile;
mod integrity;
mod keys;
mod locks;
mod mended;
mod next;
mod patterns;
mod processes;
mod registry;
mod scale;
mod schedules;
mod statements;
mod stopping;
mod store;
mod throwing;
mod told;
mod trees;
