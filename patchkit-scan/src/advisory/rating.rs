//! How bad a vulnerability is: vendors' words and CVSS vectors.

use cvss::Cvss;
use patchkit_core::{CvssScore, Severity};

/// The severity of a CVSS score, by the qualitative scale of CVSS 3 and 4.
#[must_use]
pub fn severity_of_score(score: f64) -> Severity {
    match score {
        s if s >= 9.0 => Severity::Critical,
        s if s >= 7.0 => Severity::High,
        s if s >= 4.0 => Severity::Medium,
        s if s > 0.0 => Severity::Low,
        _ => Severity::Unknown,
    }
}

/// A vendor's word as a severity, in any case; what no vendor means as one is unknown.
///
/// Red Hat, those who rebuild it, SUSE and Oracle say low, moderate, important, critical; Ubuntu says negligible, low,
/// medium, high, critical, and untriaged for what nobody has looked at yet.
pub(super) fn severity_of_word(word: &str) -> Severity {
    match word.trim().to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" | "important" => Severity::High,
        "medium" | "moderate" => Severity::Medium,
        "low" => Severity::Low,
        "negligible" | "unimportant" => Severity::Negligible,
        _ => Severity::Unknown,
    }
}

/// A CVSS vector with its base score, which is computed; `None` where it is none, or one without a score.
///
/// A number and a slash before the vector, as OVAL has them (`7.5/CVSS:3.1/AV:N/…`), are passed over.
pub(super) fn cvss(text: &str) -> Option<CvssScore> {
    let text = text.trim();
    let vector = match text.split_once('/') {
        Some((number, vector)) if number.parse::<f64>().is_ok() => vector,
        _ => text,
    };
    let score = vector.parse::<Cvss>().ok()?.score();
    let tenths = (score * 10.0).round();
    // The score of a vector is between 0 and 10.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was checked to be in range")]
    (0.0..=100.0).contains(&tenths).then(|| CvssScore { vector: vector.into(), tenths: tenths as u8 })
}

/// The severity of the highest of several scores.
pub(super) fn severity_of_scores(scores: &[CvssScore]) -> Severity {
    scores.iter().map(|score| severity_of_score(f64::from(score.tenths) / 10.0)).max().unwrap_or_default()
}

/// Vectors as an advisory has them: sorted, each once.
pub(super) fn sorted(scores: impl IntoIterator<Item = CvssScore>) -> Vec<CvssScore> {
    let mut scores: Vec<CvssScore> = scores.into_iter().collect();
    scores.sort();
    scores.dedup();
    scores
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_their_scores() {
        for (text, vector, tenths) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
            ("7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75),
            ("7.8/AV:N/AC:L/Au:N/C:N/I:N/A:C", "AV:N/AC:L/Au:N/C:N/I:N/A:C", 78),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N",
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N",
                87,
            ),
        ] {
            assert_eq!(cvss(text), Some(CvssScore { vector: vector.into(), tenths }), "{text}");
        }
        for text in ["", "7.5", "CVSS:3.1", "CVSS:3.1/AV:X", "nonsense", "7.5/", "NaN/AV:N"] {
            assert_eq!(cvss(text), None, "{text}");
        }
    }

    #[test]
    fn words_are_severities() {
        for (word, severity) in [
            ("Important", Severity::High),
            ("MODERATE", Severity::Medium),
            (" low ", Severity::Low),
            ("untriaged", Severity::Unknown),
            ("None", Severity::Unknown),
        ] {
            assert_eq!(severity_of_word(word), severity, "{word}");
        }
    }
}
