//! Who gets in: caps on all connections and on those of one address. Pure but for its lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Limits, Refused};

#[derive(Clone, Default)]
pub(crate) struct Admission {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    total: usize,
    /// Never larger than `total`: an address without connections is removed.
    by_address: HashMap<IpAddr, usize>,
}

/// A place taken; free again when dropped.
pub(crate) struct Place {
    address: IpAddr,
    open: Arc<Mutex<Open>>,
}

impl Admission {
    pub(crate) fn admit(&self, address: IpAddr, limits: &Limits) -> Result<Place, Refused> {
        let address = address.to_canonical();
        let mut open = self.open.lock();
        if open.total >= limits.connections {
            return Err(Refused::Connections);
        }
        if open.by_address.get(&address).is_some_and(|count| *count >= limits.per_address)
            || limits.per_address == 0
        {
            return Err(Refused::PerAddress);
        }
        open.total += 1;
        *open.by_address.entry(address).or_default() += 1;
        Ok(Place { address, open: Arc::clone(&self.open) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_for_all_and_for_each_address_and_places_come_back() {
        let limits = Limits { connections: 3, per_address: 2, ..Limits::default() };
        let admission = Admission::default();
        let [one, mapped, two, three]: [IpAddr; 4] =
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| text.parse().unwrap());
        let first = admission.admit(one, &limits).ok().unwrap();
        let _second = admission.admit(mapped, &limits).ok().unwrap();
        assert_eq!(admission.admit(one, &limits).err(), Some(Refused::PerAddress), "mapped is the same");
        let _third = admission.admit(two, &limits).ok().unwrap();
        assert_eq!(admission.admit(three, &limits).err(), Some(Refused::Connections));
        drop(first);
        assert!(admission.admit(three, &limits).is_ok());
        assert_eq!(admission.open.lock().by_address.len(), 2, "an address without connections is forgotten");
    }
}
