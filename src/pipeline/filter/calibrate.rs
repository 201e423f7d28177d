//! Calibration by points: what the sensor showed, and what was true.

/// The true value for `value` on the line through the two `points` it lies between; below the first and above the last
/// point, on the end segment's line continued.
///
/// `points` are `[measured, true]`, at least two, sorted by `measured` without repetition.
pub(super) fn calibrate(points: &[[f64; 2]], value: f64) -> f64 {
    let above = points.partition_point(|[measured, _]| *measured <= value);
    let right = above.clamp(1, points.len() - 1);
    let [[x0, y0], [x1, y1]] = [points[right - 1], points[right]];
    // Measured from the nearer end, so that each point is met exactly and not to within a rounding error.
    let slope = (y1 - y0) / (x1 - x0);
    let truth = if value - x0 <= x1 - value { y0 + (value - x0) * slope } else { y1 - (x1 - value) * slope };
    let largest =
        [x0 * slope, x1 * slope, value * slope, y0, y1].into_iter().fold(0.0, |most: f64, one| most.max(one.abs()));
    super::exact(truth, largest)
}
