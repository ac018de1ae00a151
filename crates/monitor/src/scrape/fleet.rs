//! `/metrics/fleet`: the page of one picture. Decides order and labels: names in order, each with all its series.

use super::exposition::{Format, Kind, escaped, label, number, push};
use super::picture::{AGENT, Picture, SERVICE, Values, exported, own_service};
use super::stream::{PIECE_BYTES, Page};
use farol_wire::{SeriesDef, SeriesType};
use std::collections::HashSet;

/// The page, and how far it is written.
pub(super) struct FleetPage {
    picture: Picture,
    format: Format,
    /// Names of families that a counter without its ending must not take.
    taken: HashSet<String>,
    family: usize,
    member: usize,
    agent: usize,
    /// `name{`, and the series' own labels as they stand after the agent's.
    line: Line,
}

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
        let first = |family: &super::picture::Family| {
            let (layout, slot) = *family.members.first()?;
            Some(picture.series(layout, slot).name.clone())
        };
        let taken = match format {
            Format::Text => HashSet::new(),
            Format::OpenMetrics => picture.families.iter().filter_map(first).collect(),
        };
        Self { picture, format, taken, family: 0, member: 0, agent: 0, line: Line::default() }
    }

    fn head(&self, out: &mut Vec<u8>, series: &SeriesDef) {
        let unit = series.unit.as_str();
        let help = if unit.is_empty() {
            "As the agents report it.".to_owned()
        } else {
            format!("As the agents report it, in {unit}.")
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
}

impl Page for FleetPage {
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(family) = self.picture.families.get(self.family) else {
            self.format.end(out);
            return false;
        };
        let Some((layout, slot)) = family.members.get(self.member).copied() else {
            (self.family, self.member) = (self.family + 1, 0);
            return true;
        };
        if self.agent == 0 {
            let series = self.picture.series(layout, slot);
            if self.member == 0 {
                self.head(out, series);
            }
            self.line.of(series);
        }
        let agents = &self.picture.layouts[layout as usize].agents;
        for values in agents.get(self.agent..).unwrap_or_default() {
            self.agent += 1;
            if let Some(value) = values.get(slot) {
                self.line.write(out, values, value);
            }
            if out.len() >= PIECE_BYTES {
                return true;
            }
        }
        (self.member, self.agent) = (self.member + 1, 0);
        true
    }
}
