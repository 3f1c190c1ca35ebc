//! What happens, from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many of the last steps are kept to be shown.
const SHOWN: usize = 80;

#[derive(Debug)]
struct State {
    rng: fastrand::Rng,
    calm: bool,
    /// Where one fault strikes at one chance of its kind, and no other ever: the kind, and how many chances are left.
    only: Option<(&'static str, u64)>,
    fired: BTreeMap<&'static str, u64>,
    steps: u64,
    last: VecDeque<String>,
    /// A digest of all steps, to compare two schedules of one seed.
    trace: u64,
}

/// Draws what happens. Clones draw from the same sequence.
#[derive(Debug, Clone)]
pub struct Chaos(Arc<Mutex<State>>);

impl Chaos {
    /// Everything that follows from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(seed, None)
    }

    /// The same, but of all faults one alone strikes: this kind, at its chance of this number, from 0.
    #[must_use]
    pub fn with_one_fault(seed: u64, kind: &'static str, chance: u64) -> Self {
        Self::of(seed, Some((kind, chance)))
    }

    fn of(seed: u64, only: Option<(&'static str, u64)>) -> Self {
        let (fired, last) = (BTreeMap::new(), VecDeque::new());
        let rng = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(State { rng, calm: false, only, fired, steps: 0, last, trace: seed })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a fault of this kind strikes now, in so many cases of a thousand. None does once it is calm.
    #[must_use]
    pub fn strikes(&self, kind: &'static str, per_mille: u32) -> bool {
        let mut state = self.state();
        let drawn = state.rng.u32(0..1000) < per_mille;
        let strikes = match &mut state.only {
            None => drawn,
            Some((only, 0)) if *only == kind => true,
            Some((only, left)) => {
                *left -= u64::from(*only == kind);
                false
            }
        };
        if state.calm || !strikes {
            return false;
        }
        if let Some((_, left)) = &mut state.only {
            *left = u64::MAX;
        }
        *state.fired.entry(kind).or_default() += 1;
        drop(state);
        self.step(kind);
        true
    }

    /// Whether a client wants to do this now, in so many cases of a thousand. None does once it is calm.
    #[must_use]
    pub fn wants(&self, kind: &'static str, per_mille: u32) -> bool {
        let mut state = self.state();
        let wants = state.rng.u32(0..1000) < per_mille && !state.calm;
        if wants {
            *state.fired.entry(kind).or_default() += 1;
            drop(state);
            self.step(kind);
        }
        wants
    }

    /// Counts a fault of this kind that came about by itself.
    pub fn fired_too(&self, kind: &'static str) {
        *self.state().fired.entry(kind).or_default() += 1;
    }

    /// A number below this one.
    #[must_use]
    pub fn below(&self, end: u32) -> u32 {
        self.state().rng.u32(0..end.max(1))
    }

    /// A time of at most so many milliseconds.
    #[must_use]
    pub fn pause(&self, ms_max: u32) -> Duration {
        Duration::from_millis(self.below(ms_max + 1).into())
    }

    /// From now on nothing breaks.
    pub fn calm_down(&self) {
        self.state().calm = true;
    }

    /// Whether nothing breaks any more.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.state().calm
    }

    /// Notes a step.
    pub fn step(&self, what: impl Into<String>) {
        let mut state = self.state();
        let what = what.into();
        // FNV-1a, 64 bits.
        state.trace =
            what.bytes().fold(state.trace, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        state.steps += 1;
        let line = format!("{:6}  {what}", state.steps);
        if state.last.len() == SHOWN {
            state.last.pop_front();
        }
        state.last.push_back(line);
    }

    /// How many steps there were.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// What tells this schedule from any other.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.state().trace
    }

    /// The last steps, oldest first.
    #[must_use]
    pub fn last_steps(&self) -> Vec<String> {
        self.state().last.iter().cloned().collect()
    }

    /// How often each kind of fault struck.
    #[must_use]
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        self.state().fired.clone()
    }
}
