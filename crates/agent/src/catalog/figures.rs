//! How the figures of a check become samples. Decides their labels: `component` and `service`, always ours; and
//! adds how long the check took and what it said.

use super::series::{Row, Series};
use farol_health::{Figure, Kind, Status, Unit};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The series of one check. Kept between its runs, so that an unchanged set of figures makes nothing new.
#[derive(Debug)]
pub struct CheckSeries {
    service: String,
    component: String,
    duration: Arc<Series>,
    status: Arc<Series>,
    /// The figures of the last run, in their order.
    known: Vec<Known>,
}

/// A figure and the series made of it.
#[derive(Debug)]
struct Known {
    name: Cow<'static, str>,
    kind: Kind,
    unit: Unit,
    labels: Vec<(Cow<'static, str>, String)>,
    series: Arc<Series>,
}

impl Known {
    fn is(&self, figure: &Figure) -> bool {
        self.name == figure.name
            && self.kind == figure.kind
            && self.unit == figure.unit
            && self.labels == figure.labels
    }
}

impl CheckSeries {
    /// For the check of this component.
    pub fn new(service: impl Into<String>, component: impl Into<String>) -> Self {
        let (service, component) = (service.into(), component.into());
        let own = |series: Series| {
            Arc::new(series.label("service", service.as_str()).label("component", component.as_str()))
        };
        Self {
            duration: own(Series::gauge("farol_check_duration_seconds", Unit::Seconds).digits(4)),
            status: own(Series::gauge("farol_check_status", Unit::None)),
            known: Vec::new(),
            service,
            component,
        }
    }

    /// Adds the samples of one run: what it said (not what counts), how long it took, to 0.1 ms, and its figures.
    pub fn samples(&mut self, said: Status, took: Option<Duration>, figures: &[Figure], out: &mut Row) {
        out.push(&self.status, f64::from(said as u8));
        out.push_some(&self.duration, took.map(tenths_of_ms));
        for (position, figure) in figures.iter().enumerate() {
            if !self.known.get(position).is_some_and(|known| known.is(figure)) {
                let known = self.know(figure);
                match self.known.get_mut(position) {
                    Some(place) => *place = known,
                    None => self.known.push(known),
                }
            }
            out.push(&self.known[position].series, figure.value);
        }
        self.known.truncate(figures.len());
    }

    fn know(&self, figure: &Figure) -> Known {
        let mut series = Series::of(figure.name.clone(), figure.kind, figure.unit);
        if figure.unit == Unit::Percent {
            series = series.digits(2);
        }
        for (name, value) in &figure.labels {
            let name = match name.as_ref() {
                "component" | "service" => Cow::Owned(format!("exported_{name}")),
                _ => name.clone(),
            };
            series = series.label(name, value.as_str());
        }
        let series =
            series.label("service", self.service.as_str()).label("component", self.component.as_str());
        Known {
            name: figure.name.clone(),
            kind: figure.kind,
            unit: figure.unit,
            labels: figure.labels.clone(),
            series: Arc::new(series),
        }
    }
}

/// In seconds, rounded so that the wire carries what means something.
fn tenths_of_ms(took: Duration) -> f64 {
    let tenths = (took.as_micros() + 50) / 100;
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(series: &Series) -> Vec<(&str, &str)> {
        series.labels().iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect()
    }

    #[test]
    fn figures_carry_the_component_and_keep_their_own_labels() {
        let mut check = CheckSeries::new("payments", "database");
        let figures = [
            Figure::gauge("database_connections_active", 5.0, Unit::None),
            Figure::counter("database_commits_total", 7.0, Unit::None)
                .label("service", "theirs")
                .label("db", "app"),
        ];
        let mut row = Row::new();
        check.samples(Status::Degraded, Some(Duration::from_micros(2_349)), &figures, &mut row);
        let told: Vec<_> = row.samples().iter().map(|s| (s.series.name(), s.value)).collect();
        assert_eq!(
            told,
            [
                ("farol_check_status", 3.0),
                ("farol_check_duration_seconds", 0.0023),
                ("database_connections_active", 5.0),
                ("database_commits_total", 7.0)
            ]
        );
        for sample in &row.samples()[..3] {
            assert_eq!(labels(&sample.series), [("component", "database"), ("service", "payments")]);
        }
        assert_eq!(
            labels(&row.samples()[3].series),
            [
                ("component", "database"),
                ("db", "app"),
                ("exported_service", "theirs"),
                ("service", "payments")
            ]
        );
        assert_eq!(row.samples()[3].series.kind(), Kind::Counter);
    }

    #[test]
    fn an_unchanged_set_makes_no_new_series_and_a_changed_one_only_what_changed() {
        let mut check = CheckSeries::new("s", "c");
        let figure = |name: &'static str| Figure::gauge(name, 1.0, Unit::None);
        let mut run = |figures: &[Figure]| {
            let mut row = Row::new();
            check.samples(Status::Healthy, None, figures, &mut row);
            row.samples().iter().map(|s| Arc::clone(&s.series)).collect::<Vec<_>>()
        };
        let first = run(&[figure("a"), figure("b")]);
        let second = run(&[figure("a"), figure("b")]);
        assert!(first.iter().zip(&second).all(|(a, b)| Arc::ptr_eq(a, b)));
        let third = run(&[figure("a"), figure("c").label("x", "y")]);
        assert!(Arc::ptr_eq(&first[1], &third[1]));
        assert_eq!(third[2].name(), "c");
        assert_eq!(run(&[]).len(), 1);
    }
}
