//! The annotations of a rule: templates that see one alert's facts and nothing else, no file, no environment, no other
//! template. What they may cost is bounded; what comes out is data, never a template again.

mod grammar;

use super::text;
use farol_rules::{Labels, Severity};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// The longest template, in bytes.
const SOURCE: usize = 4 << 10;
/// The longest text that comes out, in bytes; more is cut.
const OUTPUT: usize = 16 << 10;
/// So many steps one template may take.
const FUEL: u64 = 20_000;
/// So deep it may nest.
const DEPTH: usize = 32;
/// Stands where a template names what is not there.
const MISSING: &str = "[missing]";

/// What a template sees.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `rule`
    pub rule: &'a str,
    /// `labels`, `labels.pod`
    pub labels: &'a Labels,
    /// `severity`
    pub severity: Severity,
    /// `value`
    pub value: Option<f64>,
    /// `elements`: names of what is in the alert
    pub elements: &'a [String],
    /// `count`: how many elements there are
    pub count: u64,
    /// `message`: what was last said of the first element that something was said of
    pub message: Option<&'a str>,
}

/// A template that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the template: {why}")]
pub struct TemplateError {
    /// The annotation's name.
    pub name: String,
    /// From 1, within the template.
    pub line: usize,
    /// What is wrong with it, and what to do.
    pub why: String,
}

/// The compiled annotations of one rule.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// Compiles a rule's annotations and tries each out.
    ///
    /// # Errors
    /// All that are wrong.
    pub fn compile(annotations: &BTreeMap<Arc<str>, Arc<str>>) -> Result<Self, Vec<TemplateError>> {
        let mut environment = environment();
        let mut errors = Vec::new();
        for (name, source) in annotations {
            let error = |(line, why): (usize, String)| TemplateError { name: name.to_string(), line, why };
            if let Err(wrong) = add(&mut environment, name, source) {
                errors.push(error(wrong));
            }
        }
        if errors.is_empty() { Ok(Self { environment }) } else { Err(errors) }
    }

    /// Every annotation, by name. One that fails says so in its place.
    #[must_use]
    pub fn render(&self, facts: &Facts<'_>) -> BTreeMap<String, String> {
        let texts = self.environment.templates().map(|(name, template)| {
            let mut output = Bounded::default();
            let rendered = template.render_captured_to(values(facts), &mut output);
            let text = match rendered {
                Ok(_) => output.text(),
                Err(_) if output.full => output.text(),
                Err(error) => format!("[this template failed: {}]", short(&error)),
            };
            (name.to_owned(), text::lines(&text).into_owned())
        });
        texts.collect()
    }
}

fn add(environment: &mut Environment<'static>, name: &str, source: &str) -> Result<(), (usize, String)> {
    if source.len() > SOURCE {
        return Err((1, format!("it is longer than {SOURCE} bytes; shorten it")));
    }
    grammar::check(source)?;
    let line = |error: &minijinja::Error| (error.line().unwrap_or(1), short(error));
    environment.add_template_owned(name.to_owned(), source.to_owned()).map_err(|error| line(&error))?;
    let template = environment.get_template(name).map_err(|error| line(&error))?;
    let facts = Facts {
        rule: "rule",
        labels: &Labels::default(),
        severity: Severity::Warning,
        value: Some(1.0),
        elements: &[],
        count: 0,
        message: Some("message"),
    };
    match template.render_captured_to(values(&facts), Bounded::default()) {
        // Only with real labels can be known whether these happen.
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidOperation | ErrorKind::WriteFailure) => {
            Err(line(&error))
        }
        _ => Ok(()),
    }
}

/// What is wrong, in one line and without the template's text.
fn short(error: &minijinja::Error) -> String {
    let why = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    text::cut(&text::line(&why), 200).into_owned()
}

fn values(facts: &Facts<'_>) -> Value {
    let labels: BTreeMap<String, String> =
        facts.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    context! {
        rule => facts.rule,
        labels => labels,
        severity => facts.severity.as_str(),
        value => facts.value.map_or(Value::UNDEFINED, number),
        elements => facts.elements.to_vec(),
        count => facts.count,
        message => facts.message.map_or(Value::UNDEFINED, Value::from),
    }
}

/// Whole numbers are shown without `.0`.
fn number(value: f64) -> Value {
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    if whole { Value::from(value as i64) } else { Value::from(value) }
}

/// Nothing but what is safe with any operand: no filter can make a long text of a short one.
fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_formatter(|out, _, value| {
        let written = if value.is_undefined() || value.is_none() {
            out.write_str(MISSING)
        } else {
            write!(out, "{value}")
        };
        written.map_err(minijinja::Error::from)
    });
    environment.add_filter("upper", minijinja::filters::upper);
    environment.add_filter("lower", minijinja::filters::lower);
    environment.add_filter("title", minijinja::filters::title);
    environment.add_filter("trim", minijinja::filters::trim);
    environment.add_filter("default", minijinja::filters::default);
    environment.add_filter("length", minijinja::filters::length);
    environment.add_filter("first", minijinja::filters::first);
    environment.add_filter("last", minijinja::filters::last);
    environment.add_filter("abs", minijinja::filters::abs);
    environment.add_filter("int", minijinja::filters::int);
    environment.add_filter("float", minijinja::filters::float);
    environment.add_filter("round", |value: f64, digits: Option<i32>| {
        let power = 10f64.powi(digits.unwrap_or(0).clamp(0, 9));
        number((value * power).round() / power)
    });
    environment.add_filter("times", |value: f64, by: f64| number(value * by));
    environment.add_filter("join", |names: Vec<String>, between: Option<String>| {
        names.join(text::cut(between.as_deref().unwrap_or(", "), 16).as_ref())
    });
    environment.add_test("defined", minijinja::tests::is_defined);
    environment.add_test("undefined", minijinja::tests::is_undefined);
    environment
}

/// Takes so much and refuses the rest.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    /// Something was refused: the text ends in a mark.
    full: bool,
}

impl Bounded {
    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.full {
            text.push_str(&format!("… [cut at {OUTPUT} bytes]"));
        }
        text
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = OUTPUT - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            self.full = true;
            return Err(io::Error::other("the text is too long"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
