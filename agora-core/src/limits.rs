//! Every bound of plans and of the engine: unit in the name, reason beside it.
//!
//! Bounds that belong to one format or one seam stand in the module that enforces them. Hitting a bound is always a
//! typed error that names it; tests try each at its boundary and one beyond.

// Plans: what one document may hold.

/// Bytes of a plan as it is handed in: ten times what 10,000 ordinary items need, and read in one piece of memory.
pub const PLAN_BYTES_MAX: usize = 16 << 20;
/// Bytes of a normalised plan: defaults filled in (under 400 bytes an item) and numbers written out (under four times).
pub const PLAN_STORED_BYTES_MAX: usize = 84 << 20;
/// Depth of objects and arrays in a plan, the plan itself being 1: `workerInput` is any JSON, but nobody nests by hand
/// beyond this, and every reader after us may recurse.
pub const PLAN_DEPTH_MAX: usize = 64;
/// Items of a run: twice the longest chain that is promised to work (20,000), with room for growth.
pub const RUN_ITEMS_MAX: usize = 50_000;
/// Dependencies in a run, all items together: ten a piece, and a few megabytes of index.
pub const RUN_EDGES_MAX: usize = 500_000;
/// Bytes of one string in `workerInput`, as large as a prompt may be.
pub const STRING_BYTES_MAX: usize = 256 << 10;
/// Bytes of one item's `workerInput`: a template renders it into a message, and a message has the size of a prompt.
pub const WORKER_INPUT_BYTES_MAX: usize = 512 << 10;
/// Products that one item takes from others: each becomes a file of its attempt.
pub const ITEM_NEEDS_MAX: usize = 1_024;
/// Pinned inputs of one item: each becomes a file of its attempt.
pub const ITEM_INPUT_REFS_MAX: usize = 1_024;
/// Locks of one item: taken all or none, in one commit.
pub const ITEM_LOCKS_MAX: usize = 256;
/// Bytes of one lock key, as `plan.md` says: a path fits.
pub const LOCK_BYTES_MAX: usize = 256;
/// Env bundles of one item, the subagent's own included; what a subagent itself may hold.
pub const ITEM_ENVS_MAX: usize = 16;
/// Capabilities of one item, the subagent's own included; what a subagent itself may hold.
pub const ITEM_CAPABILITIES_MAX: usize = 32;
/// Bytes of `subagentShape`: a label, shown and compared.
pub const SHAPE_BYTES_MAX: usize = 128;
/// Bytes of `model`: a level, or a provider's own id.
pub const MODEL_BYTES_MAX: usize = 128;
/// Bytes of a `workspace.rev`, longer than any name git itself can store.
pub const REV_BYTES_MAX: usize = 255;
/// Labels of a run: shown in lists, so few.
pub const LABELS_MAX: usize = 32;
/// Bytes of a label's key.
pub const LABEL_KEY_BYTES_MAX: usize = 64;
/// Bytes of a label's value.
pub const LABEL_VALUE_BYTES_MAX: usize = 256;
/// Seconds of one attempt that a plan may ask for: a week. Longer work is several items.
pub const TIMEOUT_SECONDS_MAX: u64 = 7 * 24 * 3_600;
/// Attempts at one item: what fails ten times in a row fails for a reason.
pub const ATTEMPTS_MAX: u64 = 10;
/// Attempts at one item unless the plan says otherwise (`engine.md` §3).
pub const ATTEMPTS_DEFAULT: u64 = 2;
/// Seconds before the second attempt that a plan may ask for: a day.
pub const BACKOFF_SECONDS_MAX: u64 = 24 * 3_600;
/// Seconds before the second attempt unless the plan says otherwise; each further one waits twice as long.
pub const BACKOFF_SECONDS_DEFAULT: u64 = 2;
/// The highest priority; 0 is the lowest and the default.
pub const PRIORITY_MAX: u8 = 9;
/// Seconds of a whole run that a budget may name: thirty days.
pub const RUN_WALL_SECONDS_MAX: u64 = 30 * 24 * 3_600;
/// Problems reported for one plan: enough to mend it, and an answer stays readable. The last one counts the rest.
pub const PLAN_PROBLEMS_MAX: usize = 1_000;
/// Cycles named for one plan, each at its shortest.
pub const PLAN_CYCLES_MAX: usize = 10;
/// Items of one cycle named in its message; a longer cycle shows its first and last ones and how many lie between.
pub const CYCLE_ITEMS_SHOWN_MAX: usize = 100;

// Outcomes.

/// Outputs of an attempt: what a person looks through, an outcome lists, and a map-reduce turns into items.
pub const OUTPUTS_MAX: usize = 256;

// Patterns: what a run may grow by itself (`docs/patterns.md`).

/// Fixes of one gate, or rounds of reviews after the first: what ten fixes in a row do not mend needs a person.
pub const FIX_ATTEMPTS_MAX: u64 = 10;
/// The same unless the plan says otherwise.
pub const FIX_ATTEMPTS_DEFAULT: u64 = 1;
/// Reviewers of one item: more than any team asks.
pub const REVIEWERS_MAX: usize = 16;
/// Items of a plan that carry a pattern: each is looked at when it ends, with all that it may add.
pub const PATTERN_ITEMS_MAX: usize = 1_000;
/// Bytes of the id of an item in a queue with a pattern: what patterns append to it leaves it an id.
pub const PATTERN_ID_BYTES_MAX: usize = 108;

// Records: what one entry may hold (`docs/audit.md` §1).

/// Bytes of an entry of a run's journal.
pub const ENTRY_BYTES_MAX: usize = 2_097_152;
/// Bytes of an entry of the log of runs.
pub const LOG_ENTRY_BYTES_MAX: usize = 65_535;
/// Bytes of one item, as counted by [`crate::plan::Item::record_bytes_max`]: a record that names the item with all it
/// depends on must fit into one entry beside the members that every entry has and the rest of that record's body.
pub const ITEM_RECORD_BYTES_MAX: usize = ENTRY_BYTES_MAX - (64 << 10);

// Bundles (`docs/audit.md` §8).

/// Bytes of a bundle: a million entries of a run with their artifacts.
pub const BUNDLE_BYTES_MAX: u64 = 4 << 30;
/// Entries of a bundle, the run's and the log's.
pub const BUNDLE_ENTRIES_MAX: u64 = 4_000_000;
/// Bytes of a statement: one lists at most the inputs and outputs of an item.
pub const STATEMENT_BYTES_MAX: u64 = 16 << 20;
// Trust policies: what an auditor hands in.

/// Bytes of a trust policy: a thousand rows of each kind fit, a mistaken file does not.
pub const POLICY_BYTES_MAX: usize = 1 << 20;
/// Rows of one kind in a trust policy: a key rotated every week for twenty years.
pub const POLICY_ROWS_MAX: usize = 1_000;

// The engine: what runs and how long it may take.

/// Seconds of one attempt where neither target, subagent nor plan says (`engine.md` §4).
pub const WALL_SECONDS_DEFAULT: u64 = 7_200;
/// Milliseconds by which the wall clock must leap against the steady one to be recorded: a minute, beyond what a clock is
/// corrected by when all is well, and below what misleads a reader of the times in records.
pub const CLOCK_JUMP_MS_MIN: u64 = 60_000;
/// Seconds after which a stop that was asked for and is not proven counts as unverified. A provider ends a box 35 seconds
/// after it was asked to, the kernel may take another minute to let go of its memory, and one repeat has had its turn:
/// what is not gone by then needs somebody to look.
pub const STOP_SECONDS_MAX: u64 = 120;
/// Milliseconds that a doubled back-off is cut to: an hour, unless the plan's own first wait is longer.
pub const BACKOFF_MS_MAX: u64 = 3_600_000;
/// Bytes of a question to a person: as many as an agent's may have.
pub const QUESTION_BYTES_MAX: usize = 4 << 10;
/// Bytes of an answer to a question: a page of text, stored as a blob.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Bytes of a `request_id`: room for a UUID and a prefix, small enough to be a key.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of a cron expression: five fields with long lists.
pub const CRON_BYTES_MAX: usize = 256;
/// Schedules of a home: each is looked at when one of them is due, and each may open a run every minute.
pub const SCHEDULES_MAX: usize = 1_000;
