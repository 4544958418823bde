//! stub
use super::*;
#[derive(Debug)]
pub struct Webshare;
impl Webshare {
    pub fn new(_: bool) -> Self {
        Self
    }
}
impl Protocol for Webshare {
    fn on_open(&mut self, _: &mut Context<'_>, _: &mut impl Effects) {}
    fn on_message(&mut self, _: &mut Context<'_>, _: Message<'_>, _: &mut impl Effects) {}
    fn on_close(&mut self, _: &mut Context<'_>, _: &mut impl Effects) {}
}
