//! What is published follows upon what was published before it, whoever makes steps at the same time.

use super::*;
use crate::store::ComponentKey;

/// A component, by its agent and its service, or a service.
type Who = (Option<Arc<str>>, Option<Arc<str>>);

/// What was published last, each change upon the one before.
#[derive(Default)]
struct LastWord {
    shown: Mutex<HashMap<Who, &'static str>>,
    components: Mutex<HashMap<ComponentKey, Status>>,
}

impl Outlet for LastWord {
    fn publish(&self, effects: &Effects, _: Moment) {
        for event in &effects.events {
            if let (Some(from), Some(to)) = (event.from, event.to) {
                let before = self.shown.lock().insert((event.agent.clone(), event.service.clone()), to);
                assert_eq!(before.unwrap_or(from), from, "{event:?}");
            }
        }
        for record in &effects.components {
            self.components.lock().insert(record.key.clone(), record.hard);
        }
    }
}

/// An agent that fails and recovers again and again, and now and then comes anew.
fn live_through(fleet: &Fleet, id: &str, steps: u32) {
    let mut open: Option<(Arc<Agent>, u64)> = None;
    for step in 0..steps {
        let told = Told { now: START, offset_ms: 0 };
        let status = if step % 2 == 0 { Status::Healthy } else { Status::Unhealthy };
        let now = vec![says(1, status, Some(START.boot_ms))];
        match &open {
            Some((agent, stream)) if step % 7 != 0 => {
                let reported = Reported { changed: now, checked: Bitmap::default() };
                fleet.report(agent, *stream, reported, told, START.boot_ms);
            }
            _ => {
                let hello = Hello { agent: id.into(), ..hello(1, Role::Host) };
                let Connection::Open(agent, link) =
                    fleet.connect(id, &hello, START, &Default::default(), None)
                else {
                    panic!("the same start takes its own place")
                };
                fleet.adopt(&agent, link.number, &[def(1, "database")], now, told);
                open = Some((agent, link.number));
            }
        }
    }
}

#[test]
fn the_last_word_published_of_each_component_and_service_is_what_it_shows() {
    let heard = Arc::new(LastWord::default());
    let fleet = Fleet::new(Arc::clone(&heard) as Arc<dyn Outlet>);
    let ids = ["a", "b", "c"];
    std::thread::scope(|threads| {
        for (id, steps) in ids.into_iter().zip(2_000..) {
            let fleet = &fleet;
            threads.spawn(move || live_through(fleet, id, steps));
        }
        // Silence that comes and goes for all of them at once.
        for _ in 0..500 {
            fleet.tick(Moment { run_ms: START.run_ms + 60_000, ..START });
        }
    });
    let service: Arc<str> = "payments".into();
    let shown = fleet.service(&service).unwrap().shown;
    assert_eq!(heard.shown.lock()[&(None, Some(service))], shown.as_str());
    for id in ids {
        let agent = fleet.agent(id).unwrap();
        let live = agent.live.lock();
        let component = &live.components[0];
        assert_eq!(heard.components.lock()[&component.key(&agent.id)], component.hard, "{id}");
    }
}
