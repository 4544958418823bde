use super::*;

impl Devices {
    /// Holds the tables to their invariants.
    pub(crate) fn check(&self) {
        for (id, device) in self.iter() {
            let connected = |other: DeviceId| self.connected(other).expect("relations are with those who are here");
            assert_eq!(self.by_sid(device.sid), Some(id));
            let name = device.claim.id.as_deref();
            assert_eq!(device.holds_id, name.is_some_and(|name| self.by_name(name) == Some(id)));
            assert!(device.claimants.is_empty() || device.holds_id);
            for claimant in &device.claimants {
                let claimant = self.get(*claimant).expect("who has gone claims nothing");
                assert!(matches!(claimant.standing, Standing::Held(_)) && claimant.claim.id.as_deref() == name);
            }
            if let Standing::Held(_) = device.standing {
                let holder = self.by_name(name.unwrap()).expect("somebody holds what is waited for");
                assert_eq!(self.get(holder).unwrap().claimants.iter().filter(|claimant| **claimant == id).count(), 1);
            }
            if let Some(partner) = device.partner {
                assert!(partner != id && connected(partner).partner == Some(id) && device.holds_id);
                assert_ne!(connected(partner).has_asked, device.has_asked);
            }
            for target in &device.targets {
                let back: Vec<_> = connected(target.peer).targets.iter().filter(|back| back.peer == id).collect();
                assert!(target.peer != id && back.len() == 1 && (target.is_mine || back[0].is_mine));
            }
            for service in &device.services {
                assert_eq!(self.provider(service), Some(id));
            }
            let names = device.rooms.iter().map(|(name, _)| name).chain(&device.services);
            assert_eq!(device.named, names.map(|name| name.len()).sum::<usize>());
            for (open, is_caller) in [(&device.outgoing, true), (&device.incoming, false)] {
                let (live, front) = open.counts(&self.calls);
                assert!(front && live == open.live());
                assert_eq!(live, self.calls.of(id, is_caller));
            }
            if !device.is_connected() {
                assert!(!device.holds_id && device.targets.is_empty() && device.services.is_empty());
                assert!(device.questions.is_empty() && device.rooms.is_empty() && device.subscription.is_none());
                assert_eq!(device.outgoing.live() + device.incoming.live() + device.weight(), 0);
            }
        }
        let held = self.iter().filter(|(_, device)| device.holds_id).count();
        assert_eq!(held, self.by_name.len());
        let services: usize = self.iter().map(|(_, device)| device.services.len()).sum();
        assert_eq!(services, self.services.len());
    }
}
