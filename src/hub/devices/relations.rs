//! Whom a device has to do with: its partner, the targets that it wants to know gone, the services that it provides.
//! Layer 2.
//!
//! Both sides of a relation know of it, so whoever leaves finds everybody who must be told, and tells each once.

use super::{Device, DeviceId, Devices};

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

/// As many as may be, are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// Why a service was not created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotCreated {
    /// Somebody provides one of that name.
    Taken,
    /// The provider has as many as it may.
    Full,
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
    /// [`Full`].
    pub fn link(
        &mut self,
        source: DeviceId,
        target: DeviceId,
        [sources_multi, targets_multi]: [bool; 2],
        limit: usize,
    ) -> Result<(), Full> {
        debug_assert_ne!(source, target);
        let Some(device) = self.get_mut(source) else { return Ok(()) };
        let known = device.targets.iter().position(|known| known.peer == target);
        if known.is_some_and(|known| device.targets[known].is_mine) {
            return Ok(());
        }
        if device.targets.iter().filter(|known| known.is_mine).count() >= limit {
            return Err(Full);
        }
        if let Some(known) = known {
            device.targets[known].is_mine = true;
            return Ok(());
        }
        device.targets.push(Target { peer: target, is_mine: true, is_multi: sources_multi });
        if let Some(device) = self.get_mut(target) {
            device.targets.push(Target { peer: source, is_mine: false, is_multi: targets_multi });
        }
        Ok(())
    }

    /// Undoes one of those relations of `id`, if it has any. Returns it as `id` and as the other one saw it.
    pub fn unlink(&mut self, id: DeviceId) -> Option<[Target; 2]> {
        let mine = self.get_mut(id)?.targets.pop()?;
        let targets = &mut self.get_mut(mine.peer)?.targets;
        let place = targets.iter().position(|target| target.peer == id)?;
        Some([mine, targets.swap_remove(place)])
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
        device.services.push(service.into());
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
        }
        true
    }

    /// Takes all services from `id`.
    pub fn destroy_all(&mut self, id: DeviceId) {
        let services = self.get_mut(id).map(|device| std::mem::take(&mut device.services));
        for service in services.unwrap_or_default() {
            self.services.remove(&service);
        }
    }
}
