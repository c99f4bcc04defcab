//! The words of the command line.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, error::ErrorKind};
use jiff::Timestamp;
use patchkit_core::{Platform, Severity};
use patchkit_oci::ImageName;
use patchkit_scan::{debian::apt::client::Mirror, report};
use serde::Deserialize;

use crate::command::db;

/// What is under the list of commands in the help.
const HELP: &str = "\
Images are named as skopeo and podman name them: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], \
docker://HOST/REPO[:TAG][@DIGEST]; a bare HOST/REPO:TAG is docker://.

Exit status: 0 done, or nothing to do; 1 failed; 2 wrong usage; 3 refused by a verifier or a gate; 4 waiting; \
10 findings at or above --fail-on.";

/// Patches known vulnerabilities in container images, without a daemon and without root.
#[derive(Debug, Parser)]
#[command(name = "patchkit", version, max_term_width = 100, after_help = HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

impl Cli {
    /// Reads the command line; ends the process with status 2 where it cannot be.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        let selection = match &cli.command {
            Command::Plan(plan) => Some(&plan.selection),
            Command::Patch(patch) if patch.plan.is_none() => Some(&patch.selection),
            _ => None,
        };
        let only_scan = matches!(cli.global.format, Format::Openvex | Format::Sarif);
        let fits = match &cli.command {
            Command::Scan(_) => true,
            Command::Inventory(_) => !only_scan,
            _ => cli.global.format.of_reports().is_none(),
        };
        if !fits {
            Self::command().error(ErrorKind::ArgumentConflict, "the command has no result in this format").exit();
        }
        let nothing = |claims: &Claims| {
            claims.advisories.is_empty() && claims.report.is_empty() && !db::default_database(None).exists()
        };
        if selection.is_some_and(|selection| nothing(&selection.claims) && !selection.all) {
            let message = "which findings? Name advisories with --advisories PATH, or take every upgrade with --all";
            Self::command().error(ErrorKind::MissingRequiredArgument, message).exit();
        }
        cli
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// How to print the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Write the result to a file instead of standard output
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show every cause of an error, and what is done on the way
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Talk to registries without TLS (loopback may go without saying so)
    #[arg(long, global = true)]
    pub(crate) plain_http: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: stable, on standard output alone
    Json,
    /// CycloneDX 1.6 (inventory, scan)
    Cyclonedx,
    /// OpenVEX 0.2.0 (scan)
    Openvex,
    /// SARIF 2.1.0 (scan)
    Sarif,
    /// SPDX 2.3 (inventory, scan)
    Spdx,
    /// SPDX 3.0 (inventory, scan)
    Spdx3,
    /// What tools that read Trivy's reports understand (inventory, scan)
    Trivy,
}

impl Format {
    /// The format of reports that it is, where it is one of others.
    pub(crate) fn of_reports(self) -> Option<report::Format> {
        Some(match self {
            Self::Cyclonedx => report::Format::CycloneDx,
            Self::Openvex => report::Format::OpenVex,
            Self::Sarif => report::Format::Sarif,
            Self::Spdx => report::Format::Spdx,
            Self::Spdx3 => report::Format::Spdx3,
            Self::Trivy => report::Format::Trivy,
            Self::Json | Self::Table => return None,
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The main job from nothing: a vulnerable image, scanned, patched, verified, signed and released
    Demo(Demo),
    /// List what is installed in an image
    Inventory(Inventory),
    /// List what is vulnerable in an image
    Scan(Scan),
    /// Show which packages would change and why, and what cannot be fixed and why
    Plan(Plan),
    /// Write the patched image
    Patch(Patch),
    /// Compare two images: layers, files, configuration
    Diff(Diff),
    /// Run tests before and after a patch and compare, and check what needs no tests
    Test(Test),
    /// Say which ways to run containers work on this machine, and why the others do not
    Doctor(Doctor),
    /// Compile, update or describe the advisory database
    #[command(subcommand)]
    Db(Db),
    /// Run a whole pipeline from a file; run it again to resume
    Run(Run),
    /// Check or show the record of runs
    #[command(subcommand)]
    Ledger(Ledger),
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Use a small archive that is made and signed on the spot instead of Debian's
    #[arg(long)]
    pub(crate) offline: bool,
    /// Where everything is written [default: a new folder ./patchkit-demo]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Read Debian's packages from this mirror instead of where the machine's apt sources say; OLD=URL for what begins
    /// with OLD only
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Vec<Mirror>,
}

#[derive(Args, Debug)]
pub(crate) struct Inventory {
    /// The image
    pub(crate) image: ImageName,
    #[command(flatten)]
    pub(crate) platforms: Platforms,
    #[command(flatten)]
    pub(crate) looking: Looking,
}

/// How it is found out what is installed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Looking {
    /// Where it is remembered what was found in layers [default: $XDG_CACHE_HOME/patchkit]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Read every layer, and remember nothing
    #[arg(long, conflicts_with = "cache")]
    pub(crate) no_cache: bool,
    /// Images that others may be built on: packages of their layers are said to be the base's
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    pub(crate) base: Vec<ImageName>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Platforms {
    /// Only these platforms of an index, as linux/arm64 [default: all]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Vec<Platform>,
}

/// What says which packages are vulnerable.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Claims {
    /// Advisories: a compiled database, or files and folders in any known format [default: what `db update` keeps]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) advisories: Vec<PathBuf>,
    /// Reports of other scanners about the image: Trivy, Grype, CycloneDX, SPDX, SARIF
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) report: Vec<PathBuf>,
    /// Of several scanners and reports, how many must have a finding: any, all, or a number [default: any]
    #[arg(long, value_name = "HOW-MANY")]
    pub(crate) agreement: Option<Agreement>,
    /// VEX documents, whose statements suppress findings: OpenVEX, CSAF, CycloneDX
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) vex: Vec<PathBuf>,
    /// Rules by which findings do not count: each with owner, reason and expiry, in YAML
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) ignore: Vec<PathBuf>,
}

/// How many of several scanners must have a finding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Agreement {
    All,
    Any,
    AtLeast(usize),
}

impl FromStr for Agreement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            ("any", _) => Ok(Self::Any),
            (_, Ok(number)) if number > 0 => Ok(Self::AtLeast(number)),
            _ => Err("expected any, all, or a number from 1".into()),
        }
    }
}

/// What is scanned.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Image(ImageName),
    Sbom(PathBuf),
}

impl FromStr for Subject {
    type Err = <ImageName as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sbom:") {
            Some(file) => Ok(Self::Sbom(file.into())),
            None => text.parse().map(Self::Image),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(name) => name.fmt(f),
            Self::Sbom(file) => write!(f, "sbom:{}", file.display()),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Scan {
    /// The image; or a bill of materials (CycloneDX, SPDX, syft's), as sbom:FILE
    #[arg(value_name = "IMAGE")]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) claims: Claims,
    #[command(flatten)]
    pub(crate) platforms: Platforms,
    #[command(flatten)]
    pub(crate) looking: Looking,
    /// Exit with status 10 where a finding is of this severity or worse
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
}

/// What to patch, and from where.
#[derive(Args, Clone, Debug)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) claims: Claims,
    /// Fix only these: CVE or advisory ids, or package names
    #[arg(long, value_name = "CVE-or-PACKAGE", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Take every available upgrade, whether it fixes a finding or not
    #[arg(long, conflicts_with = "only")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) archive: Archive,
}

/// Where packages come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Archive {
    /// Read packages from this mirror instead of where the image's sources say; OLD=URL for what begins with OLD only
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Vec<Mirror>,
    /// A sources.list or .sources file to use instead of the image's; its keys are --keyring, or this machine's
    #[arg(long, value_name = "FILE")]
    pub(crate) sources: Vec<PathBuf>,
    /// A keyring to trust instead of the image's; its archives are --sources, or this machine's
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Vec<PathBuf>,
    /// Where downloads are kept [default: $XDG_CACHE_HOME/patchkit]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Accept repositories whose Valid-Until has passed
    #[arg(long)]
    pub(crate) allow_expired: bool,
    /// The time that everything written bears, RFC 3339 [default: $SOURCE_DATE_EPOCH, or when the newest archive was made]
    #[arg(long, value_name = "RFC3339")]
    pub(crate) timestamp: Option<Timestamp>,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// The image
    pub(crate) image: ImageName,
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) platforms: Platforms,
}

#[derive(Args, Debug)]
pub(crate) struct Patch {
    /// The image
    pub(crate) image: ImageName,
    /// Where the patched image goes
    #[arg(long, value_name = "IMAGE")]
    pub(crate) to: ImageName,
    /// Apply this plan, as `plan --format json` wrote it, instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "only", "advisories", "report", "vex", "ignore"])]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) platforms: Platforms,
}

#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// The image before
    pub(crate) before: ImageName,
    /// The image after
    pub(crate) after: ImageName,
    #[command(flatten)]
    pub(crate) platforms: Platforms,
}

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The image, patched
    pub(crate) image: ImageName,
    /// The suite of tests, in YAML; without one, only the checks are made
    #[arg(long, value_name = "FILE", required_unless_present = "baseline")]
    pub(crate) suite: Option<PathBuf>,
    /// The image before the patch; without one, every test must pass, and nothing else is checked
    #[arg(long, value_name = "IMAGE")]
    pub(crate) baseline: Option<ImageName>,
    /// What else is checked against the image before
    #[arg(long, value_name = "CHECK", value_delimiter = ',', default_value = "all", requires = "baseline")]
    pub(crate) checks: Vec<Check>,
    /// What the checks require, and which of their findings somebody answers for until when, in YAML
    #[arg(long, value_name = "FILE", requires = "baseline")]
    pub(crate) profile: Option<PathBuf>,
    /// Remember in this ledger what the image before showed, and take it from there
    #[arg(long, value_name = "FILE", requires_all = ["baseline", "suite"])]
    pub(crate) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) containers: Containers,
}

/// What is checked beside tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    /// All of them
    All,
    /// Entrypoint, user, environment, ports, volumes, health check
    Configuration,
    /// Weaknesses: set-user-id files, capabilities, secrets, world-writable files and more
    Hardening,
    /// Libraries and symbol versions of every program
    Loading,
    /// None of them
    None,
    /// Interpreters and modules of scripts
    Scripts,
}

/// How containers are run.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Containers {
    /// What runs containers: auto, built-in, podman, docker, or an OCI runtime program such as runc [default: auto]
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) runtime: Option<String>,
    /// Where images are unpacked [default: $XDG_CACHE_HOME/patchkit/containers]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) containers: Containers,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The pipeline, in YAML
    pub(crate) pipeline: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Compile advisories into one file
    Build {
        /// Files or folders with advisories, in any known format
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Pass over files of a folder that are damaged or of no known format, with a warning for each
        #[arg(long)]
        keep_going: bool,
    },
    /// Ask all feeds for what is new, and compile the database again
    Update {
        /// A file that names the feeds, in YAML [default: $XDG_CONFIG_HOME/patchkit/feeds.yaml]
        #[arg(long, value_name = "FILE")]
        feeds: Option<PathBuf>,
        /// Where feeds are kept [default: $XDG_CACHE_HOME/patchkit]
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
    },
    /// Check a database, and say what is in it and how old each source is
    Info {
        /// The database [default: what `db update` keeps]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Check the chain of a ledger file from its start to its head
    Verify {
        /// The ledger
        file: PathBuf,
    },
    /// Say which tests no recorded patch ever needed, and which packages no test ever used
    Review {
        /// The ledger
        file: PathBuf,
    },
    /// List the entries of a ledger file
    Show {
        /// The ledger
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }
}
