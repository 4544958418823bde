//! Whom a device has to do with: its partner, the targets that it wants to know gone, the services that it provides.
//! Layer 2.
//!
//! Both sides of a relation know of it, so whoever leaves finds everybody who must be told, and tells each once.

use super::{Device, DeviceId, Devices, NoRoom};

/// A registration that a device was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The number of the call; it may be over.
    pub number: u64,
    /// Who wants to be its partner.
    pub source: DeviceId,
    /// The asker's count of pairings when it asked.
    pub source_pairings: u32,
    /// The asked one's count.
    pub target_pairings: u32,
}

/// One side's view of two devices of which each is told when the other leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// The other one.
    pub peer: DeviceId,
    /// Whether this side asked for it, so that it counts against its limit.
    pub is_mine: bool,
    /// Whether this side is told in the words of the plugin's 1.5.0.
    pub is_multi: bool,
}

/// Why a service was not created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotCreated {
    /// Somebody provides one of that name.
    Taken,
    /// The provider has as many as it may.
    Full,
    /// Memory is short.
    NoMemory,
}

impl Device {
    /// How many registrations it was asked for and has not answered, or that nobody waits for any more.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.questions.len()
    }

    /// Notes that it is asked for a registration.
    pub fn ask(&mut self, question: Question) {
        self.questions.push_back(question);
        self.weigh();
    }

    /// The question that it answers: the one of this number, or the oldest.
    pub fn answered(&mut self, number: Option<u64>) -> Option<Question> {
        let place = match number {
            Some(number) => self.questions.iter().position(|question| question.number == number)?,
            None => 0,
        };
        let question = self.questions.remove(place);
        self.weigh();
        question
    }

    /// Forgets all of them.
    pub fn forget_questions(&mut self) {
        self.questions.clear();
        self.weigh();
    }
}

impl Devices {
    /// The device that `id` is paired with.
    #[must_use]
    pub fn partner(&self, id: DeviceId) -> Option<DeviceId> {
        self.get(id)?.partner
    }

    /// Both of every pair, in the order of their slots. Looks at every device.
    pub fn pairs(&self) -> impl Iterator<Item = (&Device, &Device)> {
        self.iter().filter_map(|(id, device)| {
            let partner = device.partner.filter(|partner| id.slot < partner.slot)?;
            Some((device, self.get(partner)?))
        })
    }

    /// Whether `id` has a partner for which it asked.
    #[must_use]
    pub fn has_asked(&self, id: DeviceId) -> bool {
        self.get(id).is_some_and(|device| device.partner.is_some() && device.has_asked)
    }

    /// How often `id` had to change its mind about its partner.
    #[must_use]
    pub fn pairings(&self, id: DeviceId) -> u32 {
        self.get(id).map_or(0, |device| device.pairings)
    }

    /// Notes that `id` is told to forget its partner, whoever that may be.
    pub fn note_pairing(&mut self, id: DeviceId) {
        if let Some(device) = self.get_mut(id) {
            device.pairings = device.pairings.wrapping_add(1);
        }
    }

    /// Makes partners of two who have none.
    pub fn pair(&mut self, source: DeviceId, target: DeviceId) {
        debug_assert!(source != target && self.partner(source).is_none() && self.partner(target).is_none());
        for (one, other) in [(source, target), (target, source)] {
            if let Some(device) = self.get_mut(one) {
                (device.partner, device.has_asked) = (Some(other), one == source);
            }
            self.note_pairing(one);
            self.touch(one);
        }
    }

    /// Notes that `source` asked once more for the partner that it has.
    pub fn pair_again(&mut self, source: DeviceId, target: DeviceId) {
        debug_assert!(self.partner(source) == Some(target));
        for (one, has_asked) in [(source, true), (target, false)] {
            if let Some(device) = self.get_mut(one) {
                device.has_asked = has_asked;
            }
        }
        self.note_pairing(source);
    }

    /// Parts `id` from its partner, which is returned.
    pub fn unpair(&mut self, id: DeviceId) -> Option<DeviceId> {
        let partner = self.partner(id)?;
        for one in [id, partner] {
            if let Some(device) = self.get_mut(one) {
                device.partner = None;
            }
            self.note_pairing(one);
            self.touch(one);
        }
        Some(partner)
    }

    /// Has two told when the other leaves, which `source` wants; it may want `limit` of that.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn link(
        &mut self,
        source: DeviceId,
        target: DeviceId,
        [sources_multi, targets_multi]: [bool; 2],
        limit: usize,
    ) -> Result<(), NoRoom> {
        debug_assert_ne!(source, target);
        let Some(device) = self.get_mut(source) else { return Ok(()) };
        let known = device.targets.iter().position(|known| known.peer == target);
        if known.is_some_and(|known| device.targets[known].is_mine) {
            return Ok(());
        }
        if device.targets.iter().filter(|known| known.is_mine).count() >= limit {
            return Err(NoRoom::Full);
        }
        if let Some(known) = known {
            device.targets[known].is_mine = true;
            return Ok(());
        }
        if !device.may_keep_more() {
            return Err(NoRoom::NoMemory);
        }
        device.targets.push(Target { peer: target, is_mine: true, is_multi: sources_multi });
        device.weigh();
        if let Some(device) = self.get_mut(target) {
            device.targets.push(Target { peer: source, is_mine: false, is_multi: targets_multi });
            device.weigh();
        }
        Ok(())
    }

    /// Undoes one of those relations of `id`, if it has any. Returns it as `id` and as the other one saw it.
    pub fn unlink(&mut self, id: DeviceId) -> Option<[Target; 2]> {
        let device = self.get_mut(id)?;
        let mine = device.targets.pop()?;
        device.weigh();
        let peer = self.get_mut(mine.peer)?;
        let place = peer.targets.iter().position(|target| target.peer == id)?;
        let theirs = peer.targets.swap_remove(place);
        peer.weigh();
        Some([mine, theirs])
    }

    /// The device that provides a service.
    #[must_use]
    pub fn provider(&self, service: &str) -> Option<DeviceId> {
        self.services.get(service).copied()
    }

    /// Has `id` provide a service, of which it may have `limit`. Providing it already is fine.
    ///
    /// # Errors
    /// [`NotCreated`].
    pub fn provide(&mut self, id: DeviceId, service: &str, limit: usize) -> Result<(), NotCreated> {
        match self.provider(service) {
            Some(provider) if provider == id => return Ok(()),
            Some(_) => return Err(NotCreated::Taken),
            None => {}
        }
        let Some(device) = self.get_mut(id) else { return Ok(()) };
        if device.services.len() >= limit {
            return Err(NotCreated::Full);
        }
        if !device.may_keep_more() {
            return Err(NotCreated::NoMemory);
        }
        device.services.push(service.into());
        device.named += service.len();
        device.weigh();
        self.services.insert(service.into(), id);
        Ok(())
    }

    /// Takes a service from its provider. Whether it was `id`'s.
    pub fn destroy(&mut self, id: DeviceId, service: &str) -> bool {
        if self.provider(service) != Some(id) {
            return false;
        }
        self.services.remove(service);
        if let Some(device) = self.get_mut(id) {
            device.services.retain(|name| **name != *service);
            device.named -= service.len();
            device.weigh();
        }
        true
    }

    /// Takes all services from `id`.
    pub fn destroy_all(&mut self, id: DeviceId) {
        let Some(device) = self.get_mut(id) else { return };
        let services = std::mem::take(&mut device.services);
        device.named -= services.iter().map(|service| service.len()).sum::<usize>();
        device.weigh();
        for service in services {
            self.services.remove(&service);
        }
    }
}
