use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Mono {
    Mono::new(Duration::from_secs(seconds))
}

fn once(steps: &[Step], value: f64) -> Result<Option<f64>, Fault> {
    Chain::new(steps).value(at(0), value)
}

#[test]
fn calibration_interpolates_and_continues_beyond_its_ends() {
    let points = [Step::Calibrate(vec![[0.0, 0.4], [50.0, 50.9], [100.0, 100.9]])];
    for (measured, truth) in [(0.0, 0.4), (25.0, 25.65), (50.0, 50.9), (75.0, 75.9), (-50.0, -50.1), (120.0, 120.9)] {
        let value = once(&points, measured).unwrap().unwrap();
        assert!((value - truth).abs() < 1e-9, "{measured}: {value} instead of {truth}");
    }
}

#[test]
fn steps_act_in_the_order_of_the_map() {
    assert_eq!(once(&[Step::Scale(2.0), Step::Offset(1.0)], 10.0), Ok(Some(21.0)));
    assert_eq!(once(&[Step::Offset(1.0), Step::Scale(2.0)], 10.0), Ok(Some(22.0)));
}

#[test]
fn steps_leave_no_binary_noise_behind() {
    let calibrate = || Step::Calibrate(vec![[0.0, 0.4], [50.0, 50.9]]);
    for (steps, value, result) in [
        (vec![Step::Scale(0.001)], -2800.0, -2.8),
        (vec![Step::Scale(3.0)], 0.1, 0.3),
        (vec![Step::Offset(0.2)], 0.1, 0.3),
        (vec![Step::Offset(-20.0)], 20.1, 0.1),
        (vec![Step::Offset(-1000.0)], 1000.1, 0.1),
        (vec![Step::Scale(3.0), Step::Offset(-0.3)], 0.1, 0.0),
        (vec![Step::Scale(1.8), Step::Offset(32.0)], 21.437, 70.5866),
        (vec![calibrate()], 21.5, 22.115),
        (vec![calibrate()], 0.1, 0.501),
        (vec![Step::Scale(0.1)], 1e-8, 1e-9),
        (vec![Step::Scale(1e9)], 1_234_567.0, 1.234_567e15),
    ] {
        assert_eq!(once(&steps, value), Ok(Some(result)), "{steps:?}");
    }
}

#[test]
fn a_value_that_no_step_touches_keeps_every_bit() {
    for value in [0.1 + 0.2, 1.0 / 3.0, 67.009_999_999_999_99, f64::MIN_POSITIVE] {
        assert_eq!(once(&[Step::Median(3), Step::Valid { min: 0.0, max: 1e9 }], value), Ok(Some(value)));
    }
}

#[test]
fn values_outside_the_valid_range_are_faults_and_its_ends_are_not() {
    let valid = [Step::Valid { min: -20.0, max: 60.0 }];
    assert_eq!(once(&valid, -20.0), Ok(Some(-20.0)));
    assert_eq!(once(&valid, 60.0), Ok(Some(60.0)));
    assert_eq!(once(&valid, 60.1), Err(Fault::OutOfRange("60.1 is not within -20 to 60".into())));
}

#[test]
fn rejected_values_are_faults_even_when_computed_in_another_way() {
    let reject = [Step::Reject(vec![85.0, -127.0, 0.3, 0.0])];
    for refused in [85.0, -127.0, 0.1 + 0.2, 0.0] {
        assert!(matches!(once(&reject, refused), Err(Fault::OutOfRange(_))), "{refused}");
    }
    for accepted in [85.0625, -126.9, 0.300_000_1, 1e-12] {
        assert_eq!(once(&reject, accepted), Ok(Some(accepted)));
    }
}

#[test]
fn median_starts_with_what_it_has_and_removes_a_spike() {
    let mut chain = Chain::new(&[Step::Median(3)]);
    let out: Vec<_> = [20.0, 21.0, 99.0, 22.0, 23.0].map(|value| chain.value(at(0), value).unwrap().unwrap()).into();
    assert_eq!(out, [20.0, 20.0, 21.0, 22.0, 23.0]);
}

#[test]
fn a_refused_value_does_not_enter_the_median_behind() {
    let mut chain = Chain::new(&[Step::Valid { min: 0.0, max: 50.0 }, Step::Median(3)]);
    assert_eq!(chain.value(at(0), 20.0), Ok(Some(20.0)));
    assert!(chain.value(at(1), 85.0).is_err());
    assert!(chain.value(at(2), 85.0).is_err());
    assert_eq!(chain.value(at(3), 21.0), Ok(Some(20.0)));
}

#[test]
fn rounding_goes_away_from_zero_and_has_no_negative_zero() {
    assert_eq!(once(&[Step::Round(2)], 21.126), Ok(Some(21.13)));
    assert_eq!(once(&[Step::Round(0)], -2.5), Ok(Some(-3.0)));
    assert_eq!(once(&[Step::Round(255)], 1e300), Ok(Some(1e300)));
    let zero = once(&[Step::Round(1)], -0.04).unwrap().unwrap();
    assert!(zero == 0.0 && zero.is_sign_positive());
}

#[test]
fn only_a_change_passes() {
    let mut chain = Chain::new(&[Step::Change { delta: 0.1, heartbeat: None }]);
    assert_eq!(chain.value(at(0), 21.0), Ok(Some(21.0)));
    assert_eq!(chain.value(at(1), 21.05), Ok(None));
    assert_eq!(chain.value(at(2), 21.1), Ok(Some(21.1)));
    assert_eq!(
        chain.value(at(3), 21.2),
        Ok(Some(21.2)),
        "a step of exactly delta, whatever binary fractions make of it"
    );
    assert_eq!(chain.value(at(9999), 21.2), Ok(None));
}

#[test]
fn any_change_passes_where_delta_is_zero() {
    let mut chain = Chain::new(&[Step::Change { delta: 0.0, heartbeat: None }]);
    assert_eq!(chain.value(at(0), 1.0), Ok(Some(1.0)));
    assert_eq!(chain.value(at(1), 1.0), Ok(None));
    assert_eq!(chain.value(at(2), 1.000_000_000_001), Ok(Some(1.000_000_000_001)));
}

#[test]
fn heartbeat_passes_an_unchanged_value_and_counts_from_what_was_passed() {
    let heartbeat = Some(Duration::from_secs(60));
    let mut chain = Chain::new(&[Step::Change { delta: 1.0, heartbeat }]);
    assert_eq!(chain.value(at(0), 5.0), Ok(Some(5.0)));
    assert_eq!(chain.value(at(59), 5.0), Ok(None));
    assert_eq!(chain.value(at(60), 5.0), Ok(Some(5.0)));
    assert_eq!(chain.value(at(119), 5.0), Ok(None));
    assert_eq!(chain.value(at(120), 5.0), Ok(Some(5.0)));
}

#[test]
fn the_first_good_value_after_a_fault_passes() {
    let steps = [Step::Valid { min: 0.0, max: 50.0 }, Step::Change { delta: 1.0, heartbeat: None }];
    let mut chain = Chain::new(&steps);
    assert_eq!(chain.value(at(0), 5.0), Ok(Some(5.0)));
    assert!(chain.value(at(1), 85.0).is_err());
    assert_eq!(chain.value(at(2), 5.0), Ok(Some(5.0)));
    chain.fault();
    assert_eq!(chain.value(at(3), 5.0), Ok(Some(5.0)));
    assert_eq!(chain.value(at(4), 5.0), Ok(None));
}

#[test]
fn what_is_not_finite_never_comes_out() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(once(&[], value), Err(Fault::Garbled(_))));
    }
    assert!(matches!(once(&[Step::Scale(1e300)], 1e300), Err(Fault::Garbled(_))));
}

/// What comes of values at seconds.
fn run(steps: &[Step], values: &[(u64, f64)]) -> Vec<Option<f64>> {
    let mut chain = Chain::new(steps);
    values.iter().map(|&(second, value)| chain.value(at(second), value).unwrap()).collect()
}

#[test]
fn rate_is_what_a_counter_gains_in_the_time_between_two_readings() {
    let minute = Step::Rate(Duration::from_secs(60));
    let values = [(0, 100.0), (10, 103.0), (10, 104.0), (40, 109.0), (41, 109.0)];
    assert_eq!(run(&[minute], &values), [None, Some(18.0), None, Some(12.0), Some(0.0)]);
    let third = run(&[Step::Rate(Duration::from_secs(1))], &[(0, 0.0), (3, 1.0)]);
    assert_eq!(third, [None, Some(0.333_333)]);
}

#[test]
fn a_counter_that_begins_again_or_runs_over_makes_no_rate_and_no_gain() {
    for step in [Step::Rate(Duration::from_secs(1)), Step::Delta { falls: false }] {
        let values = [(0, 65_530.0), (1, 65_535.0), (2, 3.0), (3, 8.0)];
        assert_eq!(run(&[step], &values), [None, Some(5.0), None, Some(5.0)]);
    }
}

#[test]
fn delta_keeps_decimals_and_falls_where_the_map_says_so() {
    let values = [(0, 20.1), (1, 20.3), (2, 20.2)];
    assert_eq!(run(&[Step::Delta { falls: true }], &values), [None, Some(0.2), Some(-0.1)]);
    assert_eq!(run(&[Step::Delta { falls: false }], &values), [None, Some(0.2), None]);
}

#[test]
fn what_a_counter_gained_over_a_fault_is_not_lost() {
    let mut chain = Chain::new(&[Step::Delta { falls: false }]);
    assert_eq!(chain.value(at(0), 7.0), Ok(None));
    chain.fault();
    assert_eq!(chain.value(at(20), 9.0), Ok(Some(2.0)));
}

#[test]
fn integral_is_the_area_below_the_readings_at_whatever_times_they_come() {
    let hour = Step::Integrate(Duration::from_secs(3600));
    let values = [(0, 100.0), (1800, 100.0), (1860, 100.0), (3600, 100.0), (7200, 300.0)];
    let totals: Vec<f64> = run(&[hour], &values).into_iter().map(|total| entry_like(total.unwrap())).collect();
    assert_eq!(totals, [0.0, 50.0, 51.666_667, 100.0, 300.0]);
}

fn entry_like(value: f64) -> f64 {
    rounded(value, 6)
}

#[test]
fn integral_goes_on_from_what_was_kept_and_adds_nothing_over_a_long_gap() {
    let mut chain = Chain::new(&[Step::Integrate(Duration::from_secs(3600))]).bridging(Duration::from_secs(40));
    assert_eq!(chain.total(), Some(0.0));
    chain.resume(1234.5);
    assert_eq!(chain.value(at(1000), 3600.0), Ok(Some(1234.5)), "nothing is known of the time before");
    assert_eq!(chain.value(at(1010), 3600.0), Ok(Some(1244.5)));
    chain.fault();
    assert_eq!(chain.value(at(1050), 3600.0), Ok(Some(1284.5)), "a short gap is bridged");
    assert_eq!(chain.value(at(1091), 3600.0), Ok(Some(1284.5)), "a long one is not");
    chain.resume(1.0);
    assert_eq!(chain.total(), Some(1284.5), "what has begun goes on");
}

#[test]
fn small_additions_to_a_large_total_are_not_lost() {
    let mut chain = Chain::new(&[Step::Integrate(Duration::from_secs(3600))]);
    chain.resume(1e12);
    for second in 0..=36_000 {
        chain.value(at(second), 0.1).unwrap();
    }
    let gained = chain.total().unwrap() - 1e12;
    assert!((gained - 1.0).abs() < 1e-3, "{gained} Wh");
}

#[test]
fn smoothing_follows_the_time_and_not_the_number_of_readings() {
    let smooth = [Step::Smooth(Duration::from_secs(60))];
    let often: Vec<_> = (0..=60).map(|second| (second, if second == 0 { 0.0 } else { 1.0 })).collect();
    let seldom = [(0, 0.0), (60, 1.0)];
    let [often, seldom] = [run(&smooth, &often), run(&smooth, &seldom)].map(|all| all.last().unwrap().unwrap());
    let expected = 1.0 - (-1.0_f64).exp();
    assert!((often - expected).abs() < 1e-9 && (seldom - expected).abs() < 1e-9, "{often} {seldom}");
    assert_eq!(run(&smooth, &[(5, 3.0), (5, 9.0)]), [Some(3.0), Some(3.0)], "no time, no step");
}

#[test]
fn clamped_values_are_the_nearer_bound() {
    let clamp = [Step::Clamp { min: 0.0, max: 100.0 }];
    assert_eq!(run(&clamp, &[(0, -3.0), (1, 55.5), (2, 104.0)]), [Some(0.0), Some(55.5), Some(100.0)]);
}

#[test]
fn gains_are_summed_and_totals_are_the_last_one() {
    let [delta, integrate] = [Step::Delta { falls: false }, Step::Integrate(Duration::from_secs(1))];
    assert_eq!(reduce(std::slice::from_ref(&delta), Reduce::Last), Reduce::Sum);
    assert_eq!(reduce(&[delta, integrate.clone(), Step::Round(1)], Reduce::Mean), Reduce::Last);
    assert_eq!(reduce(&[integrate, Step::Rate(Duration::from_secs(1))], Reduce::Sum), Reduce::Mean);
    assert_eq!(reduce(&[Step::Smooth(Duration::from_secs(1))], Reduce::Direction), Reduce::Direction);
}

/// Calibration points as a map may have them: sorted, apart, two to six.
fn points() -> impl Strategy<Value = Vec<[f64; 2]>> {
    prop::collection::vec((0.01..1e3_f64, -1e3..1e3_f64), 2..6).prop_map(|steps| {
        let mut measured = -1e3;
        let next = |(step, truth)| {
            measured += step;
            [measured, truth]
        };
        steps.into_iter().map(next).collect()
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        points().prop_map(Step::Calibrate),
        any::<f64>().prop_map(Step::Scale),
        any::<f64>().prop_map(Step::Offset),
        (any::<f64>(), any::<f64>()).prop_map(|(min, max)| Step::Valid { min, max }),
        prop::collection::vec(any::<f64>(), 0..3).prop_map(Step::Reject),
        (1..50_usize).prop_map(|half| Step::Median(2 * half + 1)),
        (1..100_000_u64).prop_map(|seconds| Step::Rate(Duration::from_secs(seconds))),
        any::<bool>().prop_map(|falls| Step::Delta { falls }),
        (1..100_000_u64).prop_map(|seconds| Step::Integrate(Duration::from_secs(seconds))),
        (1..100_000_u64).prop_map(|seconds| Step::Smooth(Duration::from_secs(seconds))),
        (any::<f64>(), any::<f64>()).prop_map(|(min, max)| Step::Clamp { min, max }),
        any::<u8>().prop_map(Step::Round),
        any::<f64>().prop_map(|delta| Step::Change { delta, heartbeat: None }),
    ]
}

proptest! {
    #[test]
    fn calibration_passes_through_its_points(points in points()) {
        for [measured, truth] in &points {
            let value = calibrate::calibrate(&points, *measured);
            prop_assert!((value - truth).abs() <= 1e-9 * truth.abs().max(1.0), "{value} instead of {truth}");
        }
    }

    #[test]
    fn calibration_is_monotone_where_its_points_are(
        mut points in points(),
        a in -3e3..3e3_f64,
        b in -3e3..3e3_f64,
    ) {
        let mut truths: Vec<f64> = points.iter().map(|point| point[1]).collect();
        truths.sort_by(f64::total_cmp);
        points.iter_mut().zip(truths).for_each(|(point, truth)| point[1] = truth);
        let [low, high] = [a.min(b), a.max(b)].map(|value| calibrate::calibrate(&points, value));
        prop_assert!(low <= high + 1e-9 * low.abs().max(1.0), "{low} > {high}");
    }

    #[test]
    fn median_is_one_of_the_last_values(values in prop::collection::vec(-1e6..1e6_f64, 1..40), half in 1..6_usize) {
        let length = 2 * half + 1;
        let mut chain = Chain::new(&[Step::Median(length)]);
        for end in 1..=values.len() {
            let median = chain.value(at(0), values[end - 1]).unwrap().unwrap();
            let window = &values[end.saturating_sub(length)..end];
            prop_assert!(window.contains(&median));
            let below = window.iter().filter(|value| **value < median).count();
            let above = window.iter().filter(|value| **value > median).count();
            prop_assert!(below <= window.len() / 2 && above <= window.len() / 2);
        }
    }

    #[test]
    fn scaled_decimals_are_decimals(number in -999_999..=999_999_i64, factor in 1..=9_999_i64, places in [0..5_u32, 0..5_u32]) {
        let decimal = |number: i64, places: u32| format!("{number}e-{places}").parse::<f64>().expect("a number");
        let product = once(&[Step::Scale(decimal(factor, places[1]))], decimal(number, places[0])).unwrap().unwrap();
        let expected = decimal(number * factor, places[0] + places[1]);
        prop_assert_eq!(product.to_bits(), expected.to_bits());
        let shifted = once(&[Step::Offset(decimal(factor, places[0]))], decimal(number, places[0])).unwrap().unwrap();
        prop_assert_eq!(shifted.to_bits(), decimal(number + factor, places[0]).to_bits());
    }

    #[test]
    fn rounding_moves_by_at_most_half_a_unit(value in -1e6..1e6_f64, digits in 0..6_u8) {
        let rounded = once(&[Step::Round(digits)], value).unwrap().unwrap();
        prop_assert!((rounded - value).abs() <= 0.5001 * 10_f64.powi(-i32::from(digits)));
    }

    #[test]
    fn no_chain_lets_anything_out_that_is_not_finite(
        steps in prop::collection::vec(any_step(), 0..5),
        values in prop::collection::vec(any::<f64>(), 1..10),
    ) {
        let mut chain = Chain::new(&steps);
        for (seconds, value) in (0..).zip(values) {
            if let Ok(Some(passed)) = chain.value(at(seconds), value) {
                prop_assert!(passed.is_finite());
            }
        }
    }
}
