//! Tests of the state: the transition table as a whole, and what an item's tree is merged from.

mod lineage;
mod table;
