//! Whoever outlives this process ends its containers and removes what is left of them.

use std::{ffi::OsStr, path::Path, time::Duration};

use patchkit_core::{Error, Result};

use super::{program::Program, survivor::Survivor};

/// How long it may take to clean up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments: the program, what comes before its arguments, the container's id, its folder. Input: a line with the
/// number of the program's process, and a second one once that has ended and its number may belong to someone else.
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
pub(super) struct Keeper(Survivor);

impl Keeper {
    /// Starts to watch.
    pub(super) fn start(program: &Program, id: &str, folder: &Path) -> Result<Self> {
        let (path, word) = program.words();
        Survivor::start(SCRIPT, &[path.as_os_str(), OsStr::new(word), OsStr::new(id), folder.as_os_str()]).map(Self)
    }

    /// Tells it which process is the container's runtime program.
    pub(super) fn watch(&self, process: u32) -> Result<()> {
        self.0.tell(&process.to_string())
    }

    /// Tells it that this process has ended.
    pub(super) fn ended(&self) -> Result<()> {
        self.0.tell("ended")
    }

    /// Ends the container, if it is not yet, and waits until nothing is left of it.
    pub(super) async fn end(self) -> Result<()> {
        let ended = tokio::time::timeout(PATIENCE, self.0.end()).await;
        let failed = |why: String| Error::unexpected(format!("the container could not be removed: {why}"));
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(status.to_string())),
            Ok(Err(error)) => Err(failed(error.to_string()).because(error)),
            Err(_) => Err(failed("it takes too long".into())),
        }
    }
}
