//! Conversations in words: what happens to a group's alerts, and all that its receiver hears.

use super::*;
use crate::Labels;

/// The fleet, the monitor's clocks and a receiver, around one conversation.
pub(super) struct World {
    pub(super) waits: Waits,
    /// What fires, by name.
    pub(super) firing: BTreeMap<String, Standing>,
    /// Told with the next step, once.
    ended: Vec<Standing>,
    conversation: Conversation,
    /// Steps by changes only, and must not differ.
    twin: Conversation,
    before: BTreeMap<String, Standing>,
    saved: Option<Saved>,
    /// Time in which the monitor ran.
    pub(super) ran_ms: u64,
    /// What the running clock of this process does not know of it.
    hidden_ms: u64,
    down_ms: i64,
}

impl World {
    pub(super) fn new(waits: Waits) -> Self {
        Self {
            waits,
            firing: BTreeMap::new(),
            ended: Vec::new(),
            conversation: Conversation::default(),
            twin: Conversation::default(),
            before: BTreeMap::new(),
            saved: None,
            ran_ms: 0,
            hidden_ms: 0,
            down_ms: 1_700_000_000_000,
        }
    }

    pub(super) fn now(&self) -> Moment {
        let wall_ms = self.down_ms + i64::try_from(self.ran_ms).unwrap();
        Moment { run_ms: self.ran_ms - self.hidden_ms, wall_ms }
    }

    /// A new episode; the one before, if it still fires, is over without a word.
    pub(super) fn fires(&mut self, name: &str, severity: Severity) {
        let audible = self.firing.get(name).is_none_or(|alert| alert.audible);
        let episode_ms = self.now().wall_ms;
        let id = AlertId { rule: name.into(), labels: Labels::default() };
        let alert = Standing { id, episode_ms, severity, routed: true, audible, ended: None };
        self.firing.insert(name.to_owned(), alert);
    }

    pub(super) fn ends(&mut self, name: &str, ending: Ending) {
        let alert = self.firing.remove(name);
        self.ended.extend(alert.map(|alert| Standing { ended: Some(ending), ..alert }));
    }

    /// The process is killed, and starts again later.
    pub(super) fn restart(&mut self, down_ms: i64) {
        let Some(saved) = &self.saved else { return };
        let text = serde_json::to_string(saved).unwrap();
        let alive_until = self.now().wall_ms;
        self.down_ms += down_ms;
        self.hidden_ms = self.ran_ms;
        let restored = Conversation::restored(serde_json::from_str(&text).unwrap(), alive_until, self.now());
        self.saved = Some(restored.saved(self.now()));
        self.twin = restored.clone();
        self.conversation = restored;
    }

    pub(super) fn step(&mut self) -> Option<Notice> {
        let now = self.now();
        let ended: Vec<Standing> = self.ended.drain(..).collect();
        let all: Vec<Standing> = self.firing.values().chain(&ended).cloned().collect();
        let notice = self.conversation.step(&all, &self.waits, now);

        let mut changed: Vec<Standing> = ended;
        changed.extend(
            self.firing.iter().filter(|(n, a)| self.before.get(*n) != Some(a)).map(|(_, a)| a.clone()),
        );
        let gone = self.before.iter().filter(|(name, _)| !self.firing.contains_key(*name));
        let over: BTreeSet<AlertId> = changed.iter().map(|alert| alert.id.clone()).collect();
        let gone = gone.filter(|(_, alert)| !over.contains(&alert.id));
        changed.extend(gone.map(|(_, alert)| Standing { routed: false, ..alert.clone() }));
        assert_eq!(self.twin.change(&changed, &self.waits, now), notice, "by changes only: {changed:?}");

        self.before.clone_from(&self.firing);
        self.saved = Some(self.conversation.saved(now));
        notice
    }

    /// Lets time go by up to `until_ms`, stepping when something is due and, to no effect, in between.
    pub(super) fn run_until(&mut self, until_ms: u64) -> Vec<(u64, Notice)> {
        let mut heard = Vec::new();
        while let Some(due) = self.conversation.due_ms().map(|due| due + self.hidden_ms) {
            assert!(due > self.ran_ms, "due at {due}, it is {}", self.ran_ms);
            if due > until_ms {
                break;
            }
            let idle = self.ran_ms + (due - self.ran_ms) / 2;
            for (at, expected) in [(idle, false), (due - 1, false), (due, true)] {
                self.ran_ms = at;
                let notice = self.step();
                assert_eq!(notice.is_some(), expected, "at {at}, due {due}: {notice:?}");
                heard.extend(notice.map(|notice| (at, notice)));
            }
        }
        self.ran_ms = self.ran_ms.max(until_ms);
        heard
    }

    pub(super) fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    fn act(&mut self, name: &str, what: &str) {
        let alert = self.firing.get_mut(name);
        match (what, alert) {
            ("restart", _) => self.restart(name.parse().unwrap()),
            ("recovered", None) => {}
            ("", None) => assert_eq!(name, "nothing"),
            ("warning", None) => self.fires(name, Severity::Warning),
            ("critical", None) => self.fires(name, Severity::Critical),
            ("again", Some(alert)) => {
                let severity = alert.severity;
                self.fires(name, severity);
            }
            ("warning", Some(alert)) => alert.severity = Severity::Warning,
            ("critical", Some(alert)) => alert.severity = Severity::Critical,
            ("muted", Some(alert)) => alert.audible = false,
            ("heard", Some(alert)) => alert.audible = true,
            ("elsewhere", Some(alert)) => alert.routed = false,
            ("here", Some(alert)) => alert.routed = true,
            ("lost", Some(_)) => drop(self.firing.remove(name)),
            ("recovered", Some(_)) => self.ends(name, Ending::Recovered),
            ("removed", Some(_)) => self.ends(name, Ending::Removed),
            (what, alert) => panic!("{name} {what}: {alert:?}"),
        }
    }
}

/// `30 more: db critical first, cpu warning repeat, over disk recovered, quiet x`
fn words(at_ms: u64, notice: &Notice) -> String {
    let word = |why: Why| serde_json::to_value(why).unwrap().as_str().unwrap().to_owned();
    let firing = notice.firing.iter().map(|a| format!("{} {} {}", a.id.rule, a.severity, word(a.why)));
    let over = notice
        .resolved
        .iter()
        .map(|a| format!("over {} {}{}", a.id.rule, a.ending.as_str(), if a.again { " again" } else { "" }));
    let quiet = notice.quiet.iter().map(|(id, _)| format!("quiet {}", id.rule));
    let said: Vec<String> = firing.chain(over).chain(quiet).collect();
    format!("{} {}: {}", at_ms / 1000, word(notice.why), said.join(", "))
}

/// Plays `seconds name what` lines, those of one moment in one step; gives all that was heard, up to `until` seconds.
fn heard(waits: Waits, script: &str, until: u64) -> Vec<String> {
    let mut world = World::new(waits);
    let mut heard = Vec::new();
    let mut lines = script.split(';').map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let mut word = line.split_whitespace();
        let at = word.next().unwrap().parse::<u64>().unwrap() * 1000;
        heard.extend(world.run_until(at).iter().map(|(at, notice)| words(*at, notice)));
        let (name, what) = (word.next().unwrap(), word.next().unwrap_or_default());
        world.act(name, what);
        let more = lines.peek().is_some_and(|next| next.split(' ').next() == line.split(' ').next());
        if !more {
            heard.extend(world.step().map(|notice| words(at, &notice)));
        }
    }
    heard.extend(world.run_until(until * 1000).iter().map(|(at, notice)| words(*at, notice)));
    heard
}

#[test]
fn a_receiver_hears_exactly_this() {
    let text = include_str!("tests/conversations.txt");
    let blocks = text.split("\n\n").filter(|block| !block.starts_with('#'));
    assert!(blocks.clone().count() > 25);
    for (played, block) in blocks.enumerate() {
        let mut lines = block.lines().map(str::trim);
        let (title, script) = (lines.next().unwrap(), lines.next().unwrap());
        let expected: Vec<&str> = lines.map(|line| line.strip_prefix("> ").unwrap()).collect();
        assert_eq!(heard(Waits::default(), script, 3600), expected, "{played}, {title}: {script}");
    }
}

#[test]
fn a_critical_wait_gathers_what_is_urgent() {
    let waits = Waits { critical_wait_ms: 5_000, ..Waits::default() };
    let script = "0 a critical; 3 b critical; 4 c warning; 100 d critical; 102 d recovered; 200 c critical";
    assert_eq!(
        heard(waits, script, 3600),
        [
            "5 first: a critical first, b critical first, c warning first",
            "205 raised: a critical repeat, b critical repeat, c critical raised",
        ]
    );
}

#[test]
fn what_changes_while_it_waits_does_not_wait_anew() {
    let waits = Waits { critical_wait_ms: 25_000, ..Waits::default() };
    assert_eq!(heard(waits, "0 a critical; 20 a warning", 3600), ["30 first: a warning first"]);
    let script = "0 a warning; 0 a muted; 100 a heard; 110 a critical";
    assert_eq!(heard(waits, script, 3600), ["125 released: a critical released"]);
}

#[test]
fn what_flaps_for_an_hour_is_told_twice_an_interval_at_most() {
    let alone = [(1, "a critical"), (6, "a recovered")];
    let in_turn = [(1, "a critical"), (3, "b critical"), (6, "a recovered"), (8, "b recovered")];
    let crossed = [(1, "a critical"), (3, "b recovered"), (6, "a recovered"), (8, "b critical")];
    for (cycle, alerts) in [(&alone[..], 1), (&in_turn, 2), (&crossed, 2)] {
        let rounds = (0..360).flat_map(|round| cycle.iter().map(move |(at, what)| (round * 10 + at, *what)));
        let lines: Vec<String> = rounds.map(|(at, what)| format!("{at} {what}")).collect();
        let script = format!("0 b critical; {}; 3599 b warning; 3599 b recovered", lines.join("; "));
        let heard = heard(Waits::default(), &script, 4000);
        assert!((2..=alerts * 24 + 2).contains(&heard.len()), "{cycle:?}: {}: {heard:#?}", heard.len());
        assert!(heard.last().unwrap().contains("resolved: over"), "{heard:#?}");
    }
}

#[test]
fn a_thread_lasts_until_all_is_taken_back_and_its_notices_are_counted() {
    let mut world = World::new(Waits::default());
    let mut notices = Vec::new();
    for (at, name, what) in [
        (0, "a", "critical"),
        (400, "b", "critical"),
        (800, "a", "recovered"),
        (1200, "b", "recovered"),
        (1300, "c", "critical"),
    ] {
        world.run_until(at * 1000);
        world.act(name, what);
        let opened_before = world.conversation().told().count();
        let waited = |world: &mut World| world.run_until((at + 30) * 1000).pop().unwrap().1;
        let notice = world.step().unwrap_or_else(|| waited(&mut world));
        notices.push((notice.number, notice.opened_ms - 1_700_000_000_000, opened_before));
    }
    assert_eq!(notices, [(1, 0, 0), (2, 0, 1), (3, 0, 2), (4, 0, 1), (5, 1_300_000, 0)]);
}

#[test]
fn it_says_what_the_receiver_believes_and_what_it_waits_for() {
    let mut world = World::new(Waits::default());
    world.act("a", "critical");
    world.step();
    world.run_until(10_000);
    world.act("a", "recovered");
    world.act("b", "warning");
    world.step();
    let told: Vec<_> = world.conversation().told().map(|b| (b.id.to_string(), b.over)).collect();
    assert_eq!(told, [("a{}".to_owned(), Some(Ending::Recovered))]);
    let waiting: Vec<_> =
        world.conversation().waiting().map(|w| (w.id.to_string(), w.why, w.due_ms)).collect();
    assert_eq!(
        waiting,
        [("a{}".to_owned(), Why::Resolved, 300_000), ("b{}".to_owned(), Why::First, 300_000)]
    );
    world.run_until(300_000);
    world.act("b", "recovered");
    world.step();
    world.run_until(900_000);
    assert!(world.conversation().is_idle());
}
