//! `/metrics/fleet`: the page of one picture. Decides order and labels: names in order, each with all its series.

use super::exposition::{Format, Kind, escaped, label, number, push};
use super::meaning;
use super::picture::{AGENT, Family, Picture, SERVICE, Values, exported, own_service};
use super::stream::{PIECE_BYTES, Page};
use farol_wire::{SeriesDef, SeriesType};
use std::collections::HashSet;

/// Small families are written together, so many series at once: an agent's definitions are then looked at once for
/// all of them, and not once for each name.
const TOGETHER: usize = 8_192;

/// The page, and how far it is written.
pub(super) struct FleetPage {
    picture: Picture,
    format: Format,
    /// Names of families that a counter without its ending must not take.
    taken: HashSet<String>,
    /// The families before this one are written, or wait.
    family: usize,
    /// How far a large family is written.
    large: Option<Place>,
    /// What is written and not sent; sent up to `sent`.
    waiting: Vec<u8>,
    sent: usize,
    line: Line,
}

/// A place in a family.
#[derive(Clone, Copy, Default)]
struct Place {
    member: usize,
    agent: usize,
}

/// `name{`, and the series' own labels as they stand after the agent's.
#[derive(Default)]
struct Line {
    start: Vec<u8>,
    /// The service in the series' own labels, escaped; the agent's own stands there otherwise.
    service: Option<Vec<u8>>,
    end: Vec<u8>,
}

impl Line {
    fn of(&mut self, series: &SeriesDef) {
        self.start.clear();
        push(&mut self.start, &[&series.name, "{", AGENT, "=\""]);
        self.end.clear();
        self.service = own_service(series).map(|service| {
            let mut out = Vec::new();
            escaped(&mut out, service);
            out
        });
        let mut buffer = String::new();
        for (name, value) in &series.labels {
            if name == SERVICE && self.service.is_some() {
                continue;
            }
            self.end.push(b',');
            label(&mut self.end, exported(series, name, &mut buffer), value);
        }
        self.end.extend_from_slice(b"} ");
    }

    fn write(&self, out: &mut Vec<u8>, values: &Values, value: f64) {
        out.extend_from_slice(&self.start);
        // Ids, scopes and services hold nothing that must be escaped.
        push(out, &[&values.agent, "\""]);
        if let Some(service) = &self.service {
            push(out, &[",", SERVICE, "=\"", &values.scope]);
            out.extend_from_slice(service);
            out.push(b'"');
        } else if !values.service.is_empty() {
            push(out, &[",", SERVICE, "=\"", &values.service, "\""]);
        }
        out.extend_from_slice(&self.end);
        number(out, value);
        out.push(b'\n');
    }
}

impl FleetPage {
    pub(super) fn new(picture: Picture, format: Format) -> Self {
        let taken = match format {
            Format::Text => HashSet::new(),
            Format::OpenMetrics => {
                picture.families.iter().filter_map(|f| Some(first(&picture, f)?.name.clone())).collect()
            }
        };
        let (family, large, waiting, sent, line) = (0, None, Vec::new(), 0, Line::default());
        Self { picture, format, taken, family, large, waiting, sent, line }
    }

    fn head(&self, out: &mut Vec<u8>, family: &Family) {
        let Some(series) = first(&self.picture, family) else { return };
        let unit = series.unit.as_str();
        let help = match meaning::of(&series.name) {
            Some(meaning) => meaning.to_owned(),
            None if unit.is_empty() => "As the agents report it.".to_owned(),
            None => format!("As the agents report it, in {unit}."),
        };
        // In OpenMetrics a counter's family loses its ending; where another family has that name, it cannot.
        let stem = series.name.strip_suffix("_total").unwrap_or_default();
        match series.kind {
            SeriesType::Counter if self.taken.contains(stem) => {
                self.format.family(out, &series.name, "unknown", &help);
            }
            SeriesType::Counter => self.format.head(out, &series.name, Kind::Counter, &help),
            SeriesType::Gauge => self.format.head(out, &series.name, Kind::Gauge, &help),
        }
    }

    /// Writes the next small families, layout by layout.
    fn write_together(&mut self) {
        let rest = self.picture.families.get(self.family..).unwrap_or_default();
        let mut series = 0;
        let small = rest.iter().take_while(|family| {
            series += family.shown;
            series <= TOGETHER
        });
        let families = &rest[..small.count()];
        let mut members: Vec<(u32, u32, usize)> = Vec::with_capacity(TOGETHER);
        for (at, family) in families.iter().enumerate() {
            members.extend(family.members.iter().map(|(layout, slot)| (*layout, *slot, at)));
        }
        members.sort_unstable();
        let mut pages = vec![Vec::new(); families.len()];
        for (page, family) in pages.iter_mut().zip(families) {
            self.head(page, family);
        }
        for (layout, slot, at) in members {
            self.line.of(self.picture.series(layout, slot));
            for values in &self.picture.layouts[layout as usize].agents {
                if let Some(value) = values.get(slot) {
                    self.line.write(&mut pages[at], values, value);
                }
            }
        }
        self.family += pages.len();
        self.waiting.clear();
        pages.iter().for_each(|page| self.waiting.extend_from_slice(page));
        self.sent = 0;
    }

    /// Writes more of a large family, up to a piece.
    fn write_large(&mut self, out: &mut Vec<u8>, mut place: Place) {
        let family = &self.picture.families[self.family];
        while let Some((layout, slot)) = family.members.get(place.member).copied() {
            // Also where a piece ended: what stands in the line may be another family's.
            self.line.of(self.picture.series(layout, slot));
            let agents = &self.picture.layouts[layout as usize].agents;
            for values in agents.get(place.agent..).unwrap_or_default() {
                place.agent += 1;
                if let Some(value) = values.get(slot) {
                    self.line.write(out, values, value);
                }
                if out.len() >= PIECE_BYTES {
                    self.large = Some(place);
                    return;
                }
            }
            place = Place { member: place.member + 1, agent: 0 };
        }
        self.large = None;
        self.family += 1;
    }

    /// Takes from what waits, up to a piece.
    fn send_waiting(&mut self, out: &mut Vec<u8>) {
        let rest = &self.waiting[self.sent..];
        let room = PIECE_BYTES.saturating_sub(out.len()).min(rest.len());
        out.extend_from_slice(&rest[..room]);
        self.sent += room;
    }
}

/// The series that gives a family its name and type.
fn first<'a>(picture: &'a Picture, family: &Family) -> Option<&'a SeriesDef> {
    let (layout, slot) = *family.members.first()?;
    Some(picture.series(layout, slot))
}

impl Page for FleetPage {
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        if self.sent < self.waiting.len() {
            self.send_waiting(out);
        } else if let Some(place) = self.large {
            self.write_large(out, place);
        } else {
            match self.picture.families.get(self.family) {
                Some(family) if family.shown > TOGETHER => {
                    self.head(out, family);
                    self.large = Some(Place::default());
                }
                Some(_) => self.write_together(),
                None => {
                    self.format.end(out);
                    return false;
                }
            }
        }
        true
    }
}
