#![doc = include_str!("../README.md")]

mod alarm;
pub mod config;
mod driver;
pub mod engine;
pub mod home;
pub mod host;
mod hub;
mod journal;
pub mod keys;
pub mod operations;
pub mod p256;
mod perform;
pub mod registry;
mod schedules;
pub mod upkeep;
mod wake;

pub use driver::Driver;
pub use engine::{Engine, OpenError, Options, Providers, Recorded};
pub use schedules::Schedules;
