//! Which encoding holds which value.

use super::{DECIMAL_LIMIT, Encoding};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

#[test]
fn each_value_has_its_narrowest_encoding() {
    let two_to_53 = 9_007_199_254_740_992.0;
    let cases = [
        (0.0, Encoding::Integer),
        (-1.0, Encoding::Integer),
        (two_to_53, Encoding::Integer),
        (-two_to_53, Encoding::Integer),
        (two_to_53 + 2.0, Encoding::Float),
        (1e300, Encoding::Float),
        (0.5, Encoding::Decimal(1)),
        (-0.1, Encoding::Decimal(1)),
        (97.53, Encoding::Decimal(2)),
        (0.000_000_001, Encoding::Decimal(9)),
        (0.000_000_000_1, Encoding::Float),
        (1_763_760_000.123_456, Encoding::Decimal(6)),
        (0.1 + 0.2, Encoding::Float),
        (f64::from(33.3_f32), Encoding::Float),
        (-0.0, Encoding::Float),
        (f64::INFINITY, Encoding::Float),
        (f64::NEG_INFINITY, Encoding::Float),
        (f64::NAN, Encoding::Float),
        (f64::from_bits(0x7ff0_0000_0000_0001), Encoding::Float),
        (f64::from_bits(1), Encoding::Float),
        (f64::MIN_POSITIVE, Encoding::Float),
        (f64::MAX, Encoding::Float),
    ];
    for (value, expected) in cases {
        assert_eq!(Encoding::fitting(value), expected, "{value:?} {:#x}", value.to_bits());
    }
}

#[test]
fn widening_goes_up_only_and_keeps_the_digits() {
    let cases = [
        (Encoding::Integer, 7.0, Encoding::Integer),
        (Encoding::Integer, 7.25, Encoding::Decimal(2)),
        (Encoding::Decimal(2), 7.0, Encoding::Decimal(2)),
        (Encoding::Decimal(2), 7.125, Encoding::Decimal(3)),
        (Encoding::Decimal(2), 9_007_199_254_740_992.0, Encoding::Float),
        (Encoding::Decimal(9), f64::NAN, Encoding::Float),
        (Encoding::Float, 1.0, Encoding::Float),
        (Encoding::Decimal(0), 0.5, Encoding::Decimal(1)),
        (Encoding::Decimal(255), 0.5, Encoding::Float),
    ];
    for (from, value, expected) in cases {
        assert_eq!(from.widen(value), expected, "{from:?} with {value}");
    }
}

#[test]
fn the_wire_knows_three_kinds_and_nine_digits() {
    let known = (1..=9).map(Encoding::Decimal).chain([Encoding::Integer, Encoding::Float]);
    for encoding in known {
        let (kind, digits) = encoding.to_wire();
        assert_eq!(Encoding::from_wire(kind, digits), Ok(encoding));
    }
    for (kind, digits) in [(0, 0), (1, 1), (2, 0), (2, 10), (2, 258), (3, 1), (4, 0), (u32::MAX, u32::MAX)] {
        let error = Encoding::from_wire(kind, digits).expect_err("unknown");
        assert_eq!((error.kind, error.digits), (kind, digits));
    }
}

proptest! {
    #[test]
    fn what_is_held_comes_back_bit_for_bit(bits in any::<u64>(), digits in 1_u8..=9) {
        let value = f64::from_bits(bits);
        for encoding in [Encoding::Integer, Encoding::Decimal(digits), Encoding::Float] {
            if let Some(word) = encoding.word(value) {
                prop_assert!(encoding.allows(word));
                prop_assert_eq!(encoding.value(word).to_bits(), bits);
            }
        }
        prop_assert!(Encoding::fitting(value).holds(value));
    }

    #[test]
    fn each_allowed_word_is_the_only_one_for_its_value(
        number in -(DECIMAL_LIMIT as i64)..=DECIMAL_LIMIT as i64, shift in 0_u32..51, digits in 1_u8..=9,
    ) {
        let number = number >> shift;
        for encoding in [Encoding::Integer, Encoding::Decimal(digits)] {
            prop_assert_eq!(encoding.word(encoding.value(number as u64)), Some(number as u64));
        }
    }
}

#[test]
fn the_largest_decimals_are_still_told_apart() {
    for digits in 1..=9 {
        let encoding = Encoding::Decimal(digits);
        for below in 0..2000 {
            for number in [(DECIMAL_LIMIT - below) as i64, -((DECIMAL_LIMIT - below) as i64)] {
                assert_eq!(encoding.word(encoding.value(number as u64)), Some(number as u64));
            }
        }
    }
}

#[test]
fn a_sum_of_decimals_settles_on_the_decimal_it_should_be_and_nothing_else_moves() {
    let cents = Encoding::Decimal(2);
    assert_eq!(cents.settle(0.1 + 0.2).to_bits(), 0.3_f64.to_bits());
    assert_eq!(cents.settle(-0.1 - 0.2).to_bits(), (-0.3_f64).to_bits());
    for number in [0.125, 1e300, f64::INFINITY, f64::NEG_INFINITY, 2.0_f64.powi(50) + 0.25] {
        assert_eq!(cents.settle(number).to_bits(), number.to_bits(), "{number}");
    }
    assert!(cents.settle(f64::NAN).is_nan());
    for encoding in [Encoding::Integer, Encoding::Float] {
        assert_eq!(encoding.settle(0.1 + 0.2).to_bits(), (0.1 + 0.2_f64).to_bits());
    }
}
