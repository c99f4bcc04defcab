//! Where results and progress go: results to standard output or a file, everything else to standard error.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::Path,
    time::Duration,
};

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use patchkit_core::{Error, Result, ScanReport};
use patchkit_scan::report::{self, WriteOptions};
use serde::Serialize;

use crate::{
    archive,
    cli::{Format, Global},
};

/// Prints a result the way it was asked for: as JSON, or as the text that `table` makes.
pub(crate) fn print(global: &Global, value: &impl Serialize, table: impl FnOnce() -> String) -> Result<()> {
    put(
        global,
        match global.format {
            Format::Table => table(),
            // Other formats are refused before, where a command has none.
            _ => serde_json::to_string_pretty(value).expect("a result has only string keys"),
        },
    )
}

/// Prints reports the way it was asked for: in the format of another tool too. Such documents bear the time that the
/// environment of reproducible builds says, or the one given: of the image.
pub(crate) fn print_reports(
    global: &Global,
    reports: &[ScanReport],
    time: Option<Timestamp>,
    name: &str,
    table: impl FnOnce() -> String,
) -> Result<()> {
    let Some(format) = global.format.of_reports() else { return print(global, &reports, table) };
    let time = archive::source_date()?.or(time).unwrap_or(Timestamp::UNIX_EPOCH);
    put(global, report::write(format, reports, &WriteOptions::new(time).with_name(name))?)
}

fn put(global: &Global, mut text: String) -> Result<()> {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match &global.output {
        Some(path) => write_whole(path, text.as_bytes()),
        None => match io::stdout().lock().write_all(text.as_bytes()) {
            // Who reads only the beginning is no failure of ours.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done.map_err(|error| Error::unexpected(format!("cannot print: {error}"))),
        },
    }
}

/// Writes a file that is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".patchkit-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(path).map_err(|error| error.error).map(drop)
    };
    write().map_err(|error: io::Error| Error::invalid(error.to_string()).during("write").on(path.display()))
}

/// A table of rows, as wide as the terminal.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header).set_content_arrangement(ContentArrangement::Dynamic);
    // The same table in tests, whatever terminal they run in.
    #[cfg(test)]
    table.force_no_tty();
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Says on standard error what is being done: a moving line on a terminal, a plain one elsewhere, nothing when quiet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    quiet: bool,
}

impl Progress {
    pub(crate) fn of(global: &Global) -> Self {
        Self { quiet: global.quiet }
    }

    /// Runs a step under its name.
    pub(crate) async fn step<T, E>(self, name: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = std::time::Instant::now();
        let bar = self.spinner(name);
        let result = work.await;
        bar.finish_and_clear();
        if result.is_ok() {
            self.line(&format!("✓ {name} ({:.1} s)", began.elapsed().as_secs_f64()));
        }
        result
    }

    /// A line on standard error.
    pub(crate) fn line(self, text: &str) {
        if !self.quiet {
            // Standard error that is closed is no reason to fail.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    fn spinner(self, name: &str) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner().with_message(name.to_owned());
        bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is well-formed"));
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}
