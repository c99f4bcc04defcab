/// How likely it is to see as many failures after as were seen, or more, if the patch changed nothing: the one-sided
/// p-value of Fisher's exact test on (failed, not failed) by (before, after), given as failures of attempts.
///
/// 1 where one side has no attempts. The time grows with the failures. Source: R. A. Fisher, *Statistical Methods for Research Workers*, §21.02; with
/// the margins fixed, the failures after are hypergeometric.
///
/// ```
/// use patchkit_rollout::verify::compare::fisher;
///
/// let p = fisher((0, 10), (5, 10));
/// assert!((p - 0.016_253_869_969).abs() < 1e-9);
/// ```
#[must_use]
pub fn fisher(before: (u32, u32), after: (u32, u32)) -> f64 {
    let (failed_before, of_before) = (before.0.min(before.1), before.1);
    let (failed_after, of_after) = (after.0.min(after.1), after.1);
    let failures = u64::from(failed_before) + u64::from(failed_after);
    let attempts = u64::from(of_before) + u64::from(of_after);
    let all = ln_choose(attempts, failures);
    let term = |after: u64| {
        let before = failures - after;
        (ln_choose(u64::from(of_after), after) + ln_choose(u64::from(of_before), before) - all).exp()
    };
    let most = failures.min(u64::from(of_after));
    let least = failures.saturating_sub(u64::from(of_before)).max(u64::from(failed_after));
    (least..=most).map(term).sum::<f64>().min(1.0)
}

/// The logarithm of how many ways there are to choose `k` of `n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Exact to rounding up to 255, then Stirling's series, whose next term is below 1e-17 there.
#[allow(clippy::cast_precision_loss)] // Attempts are far below 2^53.
fn ln_factorial(n: u64) -> f64 {
    if n < 256 {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    let x = n as f64;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.fisher_exact(..., alternative="greater")`, SciPy 1.x; the first of the tea-tasting lady is
    /// Fisher's own, 17/70.
    #[test]
    fn published_values() {
        for (before, after, expected) in [
            ((1, 4), (3, 4), 17.0 / 70.0),
            ((0, 10), (5, 10), 0.016_253_869_969_040_248),
            ((0, 1), (1, 1), 0.5),
            ((1, 3), (3, 3), 0.2),
            ((0, 20), (3, 20), 0.115_384_615_384_615_4),
            ((2, 30), (9, 30), 0.020_950_059_454_209_365),
            ((5, 10), (5, 10), 0.671_859_100_651_670_3),
            ((7, 9), (1, 9), 0.999_794_323_323_735_1),
            ((0, 100), (6, 100), 0.014_465_141_011_578_784),
            ((10, 1000), (30, 1000), 0.001_004_166_780_914_704_7),
        ] {
            let p = fisher(before, after);
            assert!((p - expected).abs() < 1e-9 * expected.max(1e-3), "{before:?} {after:?}: {p} {expected}");
        }
    }

    #[test]
    fn nothing_to_compare_proves_nothing() {
        for (before, after) in [((0, 0), (3, 3)), ((0, 3), (0, 0)), ((0, 0), (0, 0)), ((0, 5), (0, 5))] {
            assert!((fisher(before, after) - 1.0).abs() < 1e-12, "{before:?} {after:?}");
        }
    }
}
