//! What the commands of maintainer scripts do.

use super::condition;
use super::environment::Field;
use super::helper::{self, Call};
use super::sed;
use super::{Action, Effect, Invocation};

/// What a command comes to: nothing worth a word, or an effect; and whether it succeeds, where that is known.
pub(super) struct Verdict {
    pub(super) effect: Option<Effect>,
    pub(super) status: Option<bool>,
}

/// Commands that only read and print, whatever their words.
const READERS: [&str; 40] = [
    "basename",
    "cat",
    "cmp",
    "cut",
    "date",
    "diff",
    "dirname",
    "dpkg-query",
    "echo",
    "egrep",
    "expr",
    "fgrep",
    "getent",
    "grep",
    "head",
    "id",
    "ischroot",
    "logger",
    "ls",
    "md5sum",
    "netstat",
    "pidof",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "runlevel",
    "seq",
    "sha256sum",
    "sleep",
    "ss",
    "stat",
    "systemd-detect-virt",
    "tail",
    "tr",
    "type",
    "uname",
    "wait",
    "wc",
    "which",
];

/// Commands that act on running services only.
const SERVICES: [&str; 6] = ["deb-systemd-invoke", "initctl", "invoke-rc.d", "service", "start-stop-daemon", "telinit"];

/// Commands that change files where their words say.
const FILES: [&str; 17] = [
    "chgrp", "chmod", "chown", "cp", "dd", "install", "ln", "mkdir", "mkfifo", "mknod", "mktemp", "mv", "rm", "rmdir",
    "setcap", "touch", "truncate",
];

/// Commands that change users and groups.
const USERS: [&str; 14] = [
    "addgroup",
    "adduser",
    "chfn",
    "delgroup",
    "deluser",
    "gpasswd",
    "groupadd",
    "groupdel",
    "groupmod",
    "passwd",
    "systemd-sysusers",
    "useradd",
    "userdel",
    "usermod",
];

/// Commands that fetch or install what is not in the package.
const OUTSIDE: [&str; 8] = ["apt", "apt-get", "aptitude", "curl", "git", "pip", "pip3", "wget"];

/// Classes an external command by its name and words.
pub(super) fn classify(name: &str, words: &[Field], invocation: &Invocation) -> Verdict {
    let base = program(name);
    if READERS.contains(&base) {
        return quiet();
    }
    if SERVICES.contains(&base) {
        return harmless("it acts on running services");
    }
    match base {
        "printf" if first(words) != Some("-v") => quiet(),
        "awk" | "find" | "mawk" | "sed" | "sort" | "uniq" if only_reads(base, words) => quiet(),
        "deb-systemd-helper"
        | "dpkg"
        | "dpkg-divert"
        | "dpkg-statoverride"
        | "dpkg-trigger"
        | "ldconfig"
        | "systemctl"
        | "udevadm"
        | "update-alternatives" => tool(base, words),
        "dpkg-maintscript-helper" => match helper::call(words, invocation) {
            Call::Applies(helper) => action(Action::Conffile(helper)),
            Call::DoesNotApply => Verdict { status: Some(true), ..harmless("it does not apply to the old version") },
            Call::Unclear => review("the call of dpkg-maintscript-helper is not clear"),
        },
        "restorecon" => harmless("it labels files for SELinux"),
        "xargs" => xargs(words, invocation),
        "add-shell" | "remove-shell" | "update-shells" => with_words(words, Action::Shells, base),
        "py3clean" | "py3compile" | "pyclean" | "pycompile" => with_words(words, Action::ByteCode, base),
        "update-rc.d" => with_words(words, Action::InitScript, base),
        _ if base.starts_with("python3") && compiles(words) => {
            let known = words.iter().filter_map(Field::known).map(str::to_owned);
            action(Action::ByteCode(std::iter::once(base.to_owned()).chain(known).collect()))
        }
        _ => by_list(base),
    }
}

/// Whether Python is run for nothing but byte code, which is a cache of its sources.
fn compiles(words: &[Field]) -> bool {
    let is_option = |word: &&Field| matches!(word.known(), Some("-E" | "-S" | "-O" | "-OO" | "-B" | "-I"));
    let script = words.iter().find(|word| !is_option(word)).and_then(Field::known);
    script.is_some_and(|script| script.starts_with("/usr/lib/python3") && script.ends_with("/py_compile.py"))
}

fn by_list(name: &str) -> Verdict {
    if name.starts_with("db_") {
        return harmless("it asks debconf");
    }
    if OUTSIDE.contains(&name) {
        let why = format!("{name} needs what is outside of the package");
        return Verdict { effect: Some(Effect::Refuse { why }), status: None };
    }
    if FILES.contains(&name) {
        return review(&format!("{name} changes files"));
    }
    if USERS.contains(&name) {
        return review(&format!("{name} changes users or groups"));
    }
    review(&format!("what {name} does is not known"))
}

/// Tools of which some calls only ask.
fn tool(name: &str, words: &[Field]) -> Verdict {
    let verb = words
        .iter()
        .find_map(|word| word.known().filter(|word| !matches!(*word, "--quiet" | "--system" | "--no-reload" | "-q")));
    match (name, verb.unwrap_or_default()) {
        ("deb-systemd-helper", "was-enabled" | "debian-installed") => quiet(),
        ("deb-systemd-helper", "enable" | "disable" | "mask" | "purge" | "reenable" | "unmask" | "update-state") => {
            with_words(words, Action::SystemdUnit, name)
        }
        ("dpkg", "--compare-versions") => compare(words),
        ("dpkg", "-l" | "-L" | "-s" | "-S" | "--list" | "--listfiles" | "--status" | "--search" | "--audit") => quiet(),
        ("dpkg", verb) if ["--print-", "--assert-", "--validate-"].iter().any(|ask| verb.starts_with(ask)) => quiet(),
        ("dpkg-divert", "--list" | "--listpackage" | "--truename") => quiet(),
        ("dpkg-statoverride", "--list") => quiet(),
        ("dpkg-trigger", _) => trigger(words),
        ("ldconfig", "" | "-v" | "--verbose") if words.len() < 2 => action(Action::Ldconfig),
        (
            "systemctl",
            "daemon-reload" | "daemon-reexec" | "reload" | "restart" | "start" | "stop" | "try-restart" | "is-active"
            | "is-enabled" | "is-system-running" | "show" | "status",
        ) => harmless("it acts on running services"),
        ("udevadm", "control" | "settle" | "trigger") => harmless("it acts on running services"),
        ("update-alternatives", "--display" | "--get-selections" | "--list" | "--query") => quiet(),
        ("update-alternatives", _) => with_words(words, Action::Alternatives, name),
        _ => review(&format!("this call of {name} changes something")),
    }
}

fn compare(words: &[Field]) -> Verdict {
    let words = words.get(1..).unwrap_or_default();
    let words = words.strip_prefix(&[Field::Known("--".to_owned())]).unwrap_or(words);
    Verdict { effect: None, status: condition::compare_versions(words) }
}

fn trigger(words: &[Field]) -> Verdict {
    let known: Option<Vec<&str>> = words.iter().map(Field::known).collect();
    match known.as_deref() {
        Some(words) if words.contains(&"--check-supported") => Verdict { status: Some(true), ..quiet() },
        Some([options @ .., name])
            if !name.starts_with('-') && options.iter().all(|option| option.starts_with("--")) =>
        {
            action(Action::Trigger((*name).to_owned()))
        }
        _ => review("the trigger is not clear"),
    }
}

fn with_words(words: &[Field], make: fn(Vec<String>) -> Action, name: &str) -> Verdict {
    match words.iter().map(|word| word.known().map(str::to_owned)).collect() {
        Some(words) => action(make(words)),
        None => review(&format!("the words of {name} are not known")),
    }
}

/// `xargs` runs the command that follows its options, with words that are not known.
fn xargs(words: &[Field], invocation: &Invocation) -> Verdict {
    let Some(known) = words.iter().map(Field::known).collect::<Option<Vec<&str>>>() else {
        return review("the words of xargs are not known");
    };
    let mut at = 0;
    while let Some(option) = known.get(at).filter(|word| word.starts_with('-')) {
        let takes_word = option.len() == 2 && "EIILnPsda".contains(&option[1..]);
        at += if takes_word { 2 } else { 1 };
    }
    let Some(name) = known.get(at) else {
        return quiet();
    };
    let more = [Field::Unknown { splits: true }];
    Verdict { status: None, ..classify(name, &[&words[at + 1..], &more].concat(), invocation) }
}

/// Whether a call of a text tool writes no file and runs nothing.
fn only_reads(name: &str, words: &[Field]) -> bool {
    let Some(words) = words.iter().map(Field::known).collect::<Option<Vec<&str>>>() else {
        return false;
    };
    let none = |bad: &[&str]| !words.iter().any(|word| bad.iter().any(|bad| word.starts_with(bad)));
    match name {
        "awk" | "mawk" => awk_only_prints(&words),
        "find" => none(&["-delete", "-exec", "-ok", "-fprint", "-fls"]),
        "sed" => sed::only_prints(&words),
        "sort" => {
            none(&["-"])
                || words.iter().all(|word| !word.starts_with('-') || matches!(*word, "-u" | "-r" | "-n" | "-V"))
        }
        "uniq" => words.iter().filter(|word| !word.starts_with('-')).count() < 2,
        _ => false,
    }
}

/// Whether an awk program has nothing that could write a file or run a command.
fn awk_only_prints(words: &[&str]) -> bool {
    let program = words.iter().find(|word| !word.starts_with("-F"));
    let writes = |program: &str| ["system", ">", "|", "getline", "@"].iter().any(|bad| program.contains(bad));
    program.is_some_and(|program| !program.starts_with('-') && !writes(program)) && !words.contains(&"-F")
}

/// A program's name without the folder that every system has it in.
pub(super) fn program(name: &str) -> &str {
    ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"].iter().find_map(|folder| name.strip_prefix(folder)).unwrap_or(name)
}

fn first(words: &[Field]) -> Option<&str> {
    words.first().and_then(Field::known)
}

pub(super) fn quiet() -> Verdict {
    Verdict { effect: None, status: None }
}

pub(super) fn harmless(what: &'static str) -> Verdict {
    Verdict { effect: Some(Effect::Harmless { what }), status: None }
}

pub(super) fn review(why: &str) -> Verdict {
    Verdict { effect: Some(Effect::NeedsReview { why: why.to_owned() }), status: None }
}

fn action(action: Action) -> Verdict {
    Verdict { effect: Some(Effect::DoneAsData { action }), status: None }
}
