//! The level of a value.

use crate::{Condition, Judge, Level, Operator};

/// The thresholds of one rule, close together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    /// From the first to the second, both with it, every value is clear. Nearly all values are: they are to cost two
    /// comparisons.
    clear_within: (f64, f64),
    warning: Option<Condition>,
    critical: Option<Condition>,
    clear: Option<Condition>,
}

impl Thresholds {
    /// Those of a rule; a rule that does not judge values has none.
    pub(super) fn of(judge: &Judge) -> Self {
        let (warning, critical, clear) = match *judge {
            Judge::Thresholds { warning, critical, clear } => (warning, critical, clear),
            Judge::Statuses { .. } | Judge::Condition { .. } => (None, None, None),
        };
        let bad = [warning, critical]
            .into_iter()
            .flatten()
            .map(|bad| Condition { operator: opposite(bad.operator), ..bad });
        let clear_within = bad
            .chain(clear)
            .map(within)
            .fold((f64::NEG_INFINITY, f64::INFINITY), |all, one| (all.0.max(one.0), all.1.min(one.1)));
        Self { clear_within, warning, critical, clear }
    }

    /// Whether a value is clear for sure; where not, [`Self::level`] tells. NaN is not.
    #[inline]
    pub(super) fn is_clear(&self, value: f64) -> bool {
        self.clear_within.0 <= value && value <= self.clear_within.1
    }

    /// The level of a value that is a number.
    #[inline]
    pub(super) fn level(&self, value: f64) -> Level {
        let holds = |condition: &Option<Condition>| condition.is_some_and(|c| c.holds(value));
        if holds(&self.critical) {
            Level::Critical
        } else if holds(&self.warning) {
            Level::Warning
        } else if self.clear.is_none_or(|clear| clear.holds(value)) {
            Level::Clear
        } else {
            Level::Between
        }
    }
}

/// What holds of every number of which this does not.
const fn opposite(operator: Operator) -> Operator {
    match operator {
        Operator::Above => Operator::AtMost,
        Operator::AtLeast => Operator::Below,
        Operator::Below => Operator::AtLeast,
        Operator::AtMost => Operator::Above,
        Operator::Equal => Operator::NotEqual,
        Operator::NotEqual => Operator::Equal,
    }
}

/// From where to where a condition holds, both with it; nowhere, a range from above to below, where that is no range.
fn within(Condition { operator, number }: Condition) -> (f64, f64) {
    let nowhere = (f64::INFINITY, f64::NEG_INFINITY);
    match operator {
        _ if number.is_nan() => nowhere,
        Operator::AtLeast => (number, f64::INFINITY),
        Operator::AtMost => (f64::NEG_INFINITY, number),
        Operator::Equal => (number, number),
        Operator::Above if number < f64::INFINITY => (number.next_up(), f64::INFINITY),
        Operator::Below if number > f64::NEG_INFINITY => (f64::NEG_INFINITY, number.next_down()),
        Operator::Above | Operator::Below | Operator::NotEqual => nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = f64> {
        let edges =
            [0.0, -0.0, 1.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let edge = prop::sample::select(edges.to_vec());
        prop_oneof![edge.clone(), edge.prop_map(f64::next_up), (-3..4).prop_map(f64::from), any::<f64>()]
    }

    fn condition() -> impl Strategy<Value = Option<Condition>> {
        let operators = ["> 0", ">= 0", "< 0", "<= 0", "== 0", "!= 0"];
        let operators = operators.map(|text| text.parse::<Condition>().unwrap().operator);
        let one = (prop::sample::select(operators.to_vec()), number());
        prop::option::of(one.prop_map(|(operator, number)| Condition { operator, number }))
    }

    proptest! {
        #[test]
        fn what_is_clear_at_a_glance_is_clear(
            warning in condition(), critical in condition(), clear in condition(),
            values in prop::collection::vec(number(), 1..40),
        ) {
            let thresholds = Thresholds::of(&Judge::Thresholds { warning, critical, clear });
            let numbers = [warning, critical, clear].into_iter().flatten().map(|condition| condition.number);
            let near = numbers.flat_map(|number| [number, number.next_up(), number.next_down()]);
            for value in values.into_iter().chain(near).filter(|value| !value.is_nan()) {
                prop_assert!(!thresholds.is_clear(value) || thresholds.level(value) == Level::Clear, "{value}");
            }
            prop_assert!(!thresholds.is_clear(f64::NAN));
        }
    }

    #[test]
    fn what_orders_are_about_is_always_seen_at_a_glance() {
        for ([warning, critical, clear], clears, others) in [
            (["> 75", "> 85", "< 70"], [f64::NEG_INFINITY, 0.0, 70.0_f64.next_down()], [70.0, 75.0, 99.0]),
            (["> 75", "", ""], [f64::NEG_INFINITY, 0.0, 75.0], [75.0_f64.next_up(), 76.0, f64::INFINITY]),
            (["< 5", "> 100", ""], [5.0, 50.0, 100.0], [5.0_f64.next_down(), 101.0, -1.0]),
            (["", "!= 1", ""], [1.0; 3], [0.0, 2.0, 1.0_f64.next_up()]),
        ] {
            let [warning, critical, clear] = [warning, critical, clear].map(|text| text.parse().ok());
            let thresholds = Thresholds::of(&Judge::Thresholds { warning, critical, clear });
            assert_eq!(clears.map(|value| thresholds.is_clear(value)), [true; 3]);
            assert_eq!(others.map(|value| thresholds.is_clear(value)), [false; 3]);
        }
    }
}
