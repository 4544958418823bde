//! The rooms that a device is in, by the names that it knows them by. Layer 2: who else is there is the channel's affair.

use super::{Device, NoRoom};
use crate::hub::channels::ChannelId;

impl Device {
    /// Whether it is in the room of this name.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        self.rooms.iter().any(|(known, _)| **known == *name)
    }

    /// Whether it may be in one room more, of which it may have `limit`.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn may_join(&self, limit: usize) -> Result<(), NoRoom> {
        match self.rooms.len() >= limit {
            true => Err(NoRoom::Full),
            false if !self.may_keep_more() => Err(NoRoom::NoMemory),
            false => Ok(()),
        }
    }

    /// Notes that it is in a room now.
    pub fn join(&mut self, name: &str, channel: ChannelId) {
        self.rooms.push((name.into(), channel));
        self.named += name.len();
        self.weigh();
    }

    /// Notes that it is in the room of this name no longer, which is returned if it was.
    pub fn leave(&mut self, name: &str) -> Option<ChannelId> {
        let place = self.rooms.iter().position(|(known, _)| **known == *name)?;
        let (_, channel) = self.rooms.swap_remove(place);
        self.named -= name.len();
        self.weigh();
        Some(channel)
    }

    /// Notes that it is in no room any more. Returns those that it was in.
    pub fn leave_all(&mut self) -> Vec<ChannelId> {
        let rooms = std::mem::take(&mut self.rooms);
        self.named -= rooms.iter().map(|(name, _)| name.len()).sum::<usize>();
        self.weigh();
        rooms.into_iter().map(|(_, channel)| channel).collect()
    }
}
