#![doc = include_str!("../README.md")]

pub mod blobs;
mod open;
pub mod process;

pub use open::{open, open_blobs};
