//! Attacks that other projects fell to, by their stable numbers: each must fail when its defence is taken out.
//!
//! The long ones (10,000 sockets, a gigabyte, ten million of anything) run with `JACKFIELD_TEST_LONG=1`, those through a
//! real nginx and HAProxy with `JACKFIELD_TEST_PROXIES=1`.

#[path = "../common/mod.rs"]
mod common;

mod t31_switched_off;
