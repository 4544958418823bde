//! stub
#[derive(Debug, Default)]
pub struct Pairs {}
impl Pairs {
    pub fn len(&self) -> usize {
        0
    }
    pub fn pair_count(&self) -> usize {
        0
    }
}
