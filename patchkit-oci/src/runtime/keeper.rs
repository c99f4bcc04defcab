//! A small process that outlives ours, to clean up after it.
//!
//! It is a shell, since one is wherever an OCI runtime program is, and nothing has to be installed for it. It reads from
//! a pipe that only we hold. Once that is closed, for whatever reason, it ends the container and removes what is left.

use std::{
    io::{self, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use patchkit_core::{Error, Result};
use tokio::process::{Child, ChildStdin};

use super::program::Program;

/// How long it may take to clean up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments: the program, what comes before its arguments, the container's id, its folder. Input: a line with the number of the program's process, and
/// a second one once that has ended and its number may belong to someone else.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
program=$1 word=$2 id=$3 folder=$4
read -r process
read -r ended || [ -z "$process" ] || kill -KILL "$process" 2>/dev/null
while read -r _; do :; done
turn=0
while [ -e "$folder" ] && [ $turn -lt 100 ]; do
    left=
    if [ -e "$folder/state/$id" ]; then
        "$program" ${word:+"$word"} --root "$folder/state" delete --force "$id" >/dev/null 2>&1 || left=1
    fi
    for group in /sys/fs/cgroup/*/"$id"/inner /sys/fs/cgroup/"$id"/inner /sys/fs/cgroup/*/"$id" /sys/fs/cgroup/"$id"; do
        [ -d "$group" ] || continue
        while read -r one; do kill -KILL "$one" 2>/dev/null; left=1; done < "$group/cgroup.procs"
        rmdir "$group" 2>/dev/null || left=1
    done
    # A program that was ended while it started may have left something a moment later.
    [ -n "$process" ] || [ $turn -gt 3 ] || left=1
    [ -z "$left" ] && { umount "$folder/root" 2>/dev/null || umount -l "$folder/root" 2>/dev/null; rm -rf "$folder" && break; }
    turn=$((turn + 1))
    sleep 0.05
done
"#;

/// Watches over a container's folder. Dropping it ends the container and removes everything, a little later.
#[derive(Debug)]
pub(super) struct Keeper {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// Starts to watch.
    pub(super) fn start(program: &Program, id: &str, folder: &Path) -> Result<Self> {
        let (path, word) = program.words();
        let mut command = tokio::process::Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "patchkit-keeper"]).arg(path).arg(word).arg(id).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).current_dir("/");
        let mut child = command
            .spawn()
            .map_err(|error| Error::unsupported(format!("cannot start /bin/sh to clean up: {error}")).because(error))?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// Tells it which process is the container's runtime program.
    pub(super) fn watch(&mut self, process: u32) -> Result<()> {
        self.tell(&process.to_string())
    }

    /// Tells it that this process has ended.
    pub(super) fn ended(&mut self) -> Result<()> {
        self.tell("ended")
    }

    /// Ends the container, if it is not yet, and waits until nothing is left of it.
    pub(super) async fn end(mut self) -> Result<()> {
        drop(self.pipe.take());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let failed = |why: String| Error::unexpected(format!("the container could not be removed: {why}"));
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(status.to_string())),
            Ok(Err(error)) => Err(failed(error.to_string()).because(error)),
            Err(_) => Err(failed("it takes too long".into())),
        }
    }

    /// A line fits into the pipe, always: nothing blocks.
    fn tell(&mut self, line: &str) -> Result<()> {
        let told = match &self.pipe {
            Some(pipe) => write_line(pipe, line),
            None => Ok(()),
        };
        told.map_err(|error| Error::unexpected("the process that cleans up has ended").because(error))
    }
}

fn write_line(pipe: &ChildStdin, line: &str) -> io::Result<()> {
    use std::os::fd::AsFd;
    let mut file = std::fs::File::from(pipe.as_fd().try_clone_to_owned()?);
    file.write_all(format!("{line}\n").as_bytes())
}
