//! What parts of jackfield must do, said a second time and more simply. Fuzz targets drive the real thing and its model
//! with the same bytes and panic where the two differ; `tests/models.rs` does the same with random and stored bytes.

// Each fuzz target uses one of them.
#![allow(dead_code)]

pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod proxies;
pub(crate) mod session;
pub(crate) mod token;
