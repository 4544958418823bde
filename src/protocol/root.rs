//! stub
use super::*;
#[derive(Debug)]
pub struct Undecided;
impl Undecided {
    pub fn new(_: bool) -> Self {
        Self
    }
    pub fn decide(&self, _: &mut Context<'_>, _: &Message<'_>, _: &mut impl Effects) -> Option<Session> {
        None
    }
}
