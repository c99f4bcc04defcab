//! Whether samples say that something became slower.

use std::time::Duration;

use patchkit_core::Reason;

use super::LatencyBound;

/// Whether the later samples are within the bound. The message has both medians and, where they are not, how probable
/// such samples are of services that are equally quick: the one-sided rank test of Mann and Whitney, by its normal
/// approximation with ties.
pub(super) fn judge(bound: &LatencyBound, before: &[Duration], after: &[Duration]) -> Reason {
    let (Some(was), Some(is)) = (median(before), median(after)) else {
        return Reason::no("could not tell the latency: there are no samples");
    };
    let most = was.mul_f64(bound.ratio).max(was + bound.floor);
    let counts = if before.len() == after.len() {
        format!("{} samples each", before.len())
    } else {
        format!("{} and {} samples", before.len(), after.len())
    };
    let medians = format!("median {was:.1?} before, {is:.1?} after, {counts}");
    match is <= most {
        true => Reason::yes(format!("latency is within its bound of {most:.1?}: {medians}")),
        false => {
            let p = rank_test(before, after);
            Reason::no(format!("latency is over its bound of {most:.1?}: {medians}, p = {p:.2e} (Mann-Whitney)"))
        }
    }
}

/// Whether the later samples are over the bound as they are.
pub(super) fn is_over(bound: &LatencyBound, before: &[Duration], after: &[Duration]) -> bool {
    !judge(bound, before, after).holds
}

fn median(samples: &[Duration]) -> Option<Duration> {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => Some((*sorted.get(middle.checked_sub(1)?)? + *sorted.get(middle)?) / 2),
        _ => sorted.get(middle).copied(),
    }
}

/// How probable it is that the later samples rank as high as they do where both come from one distribution.
#[allow(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn rank_test(before: &[Duration], after: &[Duration]) -> f64 {
    let mut all: Vec<_> =
        before.iter().map(|time| (*time, false)).chain(after.iter().map(|time| (*time, true))).collect();
    all.sort();
    let (mut ranks, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let tied = all[at..].iter().take_while(|(time, _)| *time == all[at].0).count();
        let rank = at as f64 + (tied as f64 + 1.0) / 2.0;
        ranks += rank * all[at..at + tied].iter().filter(|(_, is_after)| *is_after).count() as f64;
        ties += (tied as f64).powi(3) - tied as f64;
        at += tied;
    }
    let (m, n) = (before.len() as f64, after.len() as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    let variance = m * n / 12.0 * ((m + n + 1.0) - ties / ((m + n) * (m + n - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    upper_tail((u - m * n / 2.0 - 0.5) / variance.sqrt())
}

/// The probability that a standard normal variable is above: Abramowitz and Stegun, 26.2.17, wrong by less than 7.5e-8.
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let tail = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum;
    if z < 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(times: &[u64]) -> Vec<Duration> {
        times.iter().map(|time| Duration::from_millis(*time)).collect()
    }

    #[test]
    fn the_normal_tail_is_that_of_the_tables() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.158_655_3), (1.96, 0.024_997_9), (3.0, 0.001_349_9), (-1.0, 0.841_344_7)] {
            assert!((upper_tail(z) - p).abs() < 1e-6, "{z}");
        }
    }

    /// By hand: U = 22.5 of a mean of 12.5, variance 25/12 × (11 - 6/90), continuity 0.5: z = 1.99053.
    #[test]
    fn ranks_are_tested_with_ties() {
        let (before, after) = (ms(&[10, 11, 12, 13, 14]), ms(&[12, 15, 16, 17, 18]));
        assert!((rank_test(&before, &after) - 0.023_267).abs() < 1e-5, "{}", rank_test(&before, &after));
        assert!(rank_test(&before, &before) > 0.5);
    }

    #[test]
    fn the_greater_of_ratio_and_floor_is_the_bound() {
        let bound = LatencyBound { samples: 5, ratio: 2.0, floor: Duration::from_millis(20) };
        let slow = |by: &[u64]| judge(&bound, &ms(&[4, 5, 6]), &ms(by)).holds;
        assert!(slow(&[24, 25, 26]));
        assert!(!slow(&[25, 26, 27]));
        assert!(!judge(&bound, &[], &ms(&[1])).holds);
        assert!(!judge(&bound, &ms(&[100, 100]), &ms(&[201, 201])).holds);
    }
}
