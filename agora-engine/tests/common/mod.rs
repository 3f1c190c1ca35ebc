//! A home to try the engine in: keys and a signed registry without agora-admin, fakes for the world, a clock that turns.

mod blobs;
mod clock;
mod home;
mod plans;
mod registry;
mod told;

pub(crate) use blobs::FileBlobs;
pub(crate) use clock::{HandClock, PlayedClock};
pub(crate) use home::{
    Home, blobs_text, caller, check, code_of, failed, items, states, subagent, submit, try_submit, wait_end, within,
};
pub(crate) use plans::{chain, fan_out, item, plan};
pub(crate) use registry::sign;
pub(crate) use told::tell_all;
