//! Differences as text for people.

use std::fmt::{Display, Formatter, Result};

use serde_json::Value;

use super::{Change, ConfigDifference, FileDifference, FileKind, ImageDiff, LayerDifference, Presence};

impl Display for ImageDiff {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { old, new, layers, files, config } = self;
        writeln!(f, "--- {old}")?;
        writeln!(f, "+++ {new}")?;
        section(f, "layers", layers)?;
        section(f, "files", files)?;
        section(f, "configuration", config)
    }
}

fn section(f: &mut Formatter<'_>, title: &str, entries: &[impl Display]) -> Result {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    entries.iter().try_for_each(|entry| writeln!(f, "  {entry}"))
}

impl Display for LayerDifference {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let sign = match self.presence {
            Presence::Added => '+',
            Presence::Kept => '=',
            Presence::Removed => '-',
        };
        write!(f, "{sign} {} ({} bytes)", self.digest, self.size)
    }
}

impl Display for FileDifference {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.change {
            Change::Added(kind) => write!(f, "+ {} ({kind})", self.path),
            Change::Removed(kind) => write!(f, "- {} ({kind})", self.path),
            Change::Changed { differences } => {
                write!(f, "~ {}", self.path)?;
                differences.iter().enumerate().try_for_each(|(place, difference)| {
                    let joint = if place == 0 { ": " } else { "; " };
                    let aspect = format!("{:?}", difference.aspect).to_lowercase();
                    write!(f, "{joint}{aspect} {} -> {}", difference.old, difference.new)
                })
            }
        }
    }
}

impl Display for FileKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::File { size } => write!(f, "file of {size} bytes"),
            Self::Symlink { target } => write!(f, "link to {target}"),
            other => f.write_str(other.name()),
        }
    }
}

impl Display for ConfigDifference {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let field = self.field.escape_debug();
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "~ {field}: {} -> {}", shown(old), shown(new)),
            (None, Some(new)) => write!(f, "+ {field}: {}", shown(new)),
            (Some(old), None) => write!(f, "- {field}: {}", shown(old)),
            (None, None) => write!(f, "  {field}"),
        }
    }
}

/// JSON without the characters that a terminal would obey.
fn shown(value: &Value) -> String {
    value
        .to_string()
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}
