//! jackfield joins WebSocket clients: two to each other, many on one name.

pub mod config;
pub mod frame;
pub mod hub;
pub mod json;
pub mod protocol;
