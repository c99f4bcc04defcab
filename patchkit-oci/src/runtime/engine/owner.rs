//! Whose containers are whose, so that none outlives its maker.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use bollard::{
    Docker,
    models::ContainerCreateBody,
    query_parameters::{CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};
use patchkit_core::{Error, Result};

use super::{
    error::{is_absent, of_engine},
    plain,
};
use crate::runtime::{process::born, survivor::Survivor};

/// The label that says who made a container: pid, start time and boot.
const OWNER: &str = "dev.patchkit.owner";

/// A container of ours. Dropping it removes the container, whatever state it is in.
#[derive(Debug)]
pub(super) struct Owned {
    id: String,
    socket: PathBuf,
    keeper: Option<Keeper>,
    removed: bool,
}

impl Owned {
    /// Creates a container. Where this is cancelled, what the engine makes nevertheless is removed.
    pub(super) async fn create(docker: &Docker, socket: &Path, body: ContainerCreateBody) -> Result<Self> {
        let labels = Some([(OWNER.to_owned(), me()?)].into());
        let body = ContainerCreateBody { labels, ..body };
        let (docker, socket) = (docker.clone(), socket.to_owned());
        let created = tokio::spawn(async move {
            let options = CreateContainerOptionsBuilder::new().build();
            let created = docker.create_container(Some(options), body).await.map_err(of_engine)?;
            Ok(Self { id: created.id, socket, keeper: None, removed: false })
        });
        created.await.map_err(|error| Error::unexpected("creating a container stopped").because(error))?
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The socket of its engine.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sees to it that its first process does not outlive this one, where it may be signalled.
    pub(super) fn keep(&mut self, pid: u32) {
        self.keeper = Keeper::start(pid).ok();
    }

    /// Removes it now.
    pub(super) async fn remove(mut self, docker: &Docker) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        remove(docker, &self.id, options).await?;
        self.removed = true;
        Ok(())
    }
}

async fn remove(docker: &Docker, id: &str, options: bollard::query_parameters::RemoveContainerOptions) -> Result<()> {
    match docker.remove_container(id, Some(options)).await {
        Err(error) if !is_absent(&error) => Err(of_engine(error)),
        _ => Ok(()),
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // There may be nothing left that runs tasks. The next one that looks removes what is not removed here.
        if let Err(error) = plain::remove(&self.socket, &self.id) {
            tracing::warn!(id = %self.id, %error, "a container could not be removed");
        }
    }
}

/// Ends a container's first process, and by that the container, when this process ends. Dropping it lets it be.
#[derive(Debug)]
struct Keeper(Survivor);

/// Arguments: the process's number and start time. Another process that has the number by then has another start time,
/// and is left alone.
const KEEP: &str = "trap '' HUP INT TERM; pid=$1 born=$2; read -r word; [ \"$word\" = done ] && exit; \
    read -r stat < /proc/$pid/stat; set -- ${stat##*) }; shift 19; [ \"$1\" = \"$born\" ] && kill -KILL $pid";

impl Keeper {
    fn start(pid: u32) -> Result<Self> {
        let born = born(pid).ok_or_else(|| Error::unavailable("the container has ended"))?;
        let arguments = [pid.to_string(), born.to_string()];
        Survivor::start(KEEP, &[arguments[0].as_ref(), arguments[1].as_ref()]).map(Self)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // One that is gone needs no word.
        let _ = self.0.tell("done");
    }
}

/// Who this process is.
fn me() -> Result<String> {
    let pid = std::process::id();
    let unknown = |error: io::Error| Error::unexpected(format!("cannot read /proc: {error}")).because(error);
    let born = born(pid).ok_or_else(|| Error::unexpected("cannot read /proc/self/stat"))?;
    Ok(format!("{pid} {born} {}", boot().map_err(unknown)?))
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Whether a process still lives that is called this.
fn lives(owner: &str) -> bool {
    let mut parts = owner.split(' ');
    let pid = parts.next().and_then(|pid| pid.parse().ok());
    let (started, booted) = (parts.next(), parts.next());
    let is = |pid| born(pid).is_some_and(|born| started == Some(born.to_string().as_str()));
    pid.is_some_and(is) && boot().is_ok_and(|boot| booted == Some(boot.as_str()))
}

/// Removes the containers whose makers are dead.
pub(super) async fn reap(docker: &Docker) -> Result<()> {
    let filters: HashMap<String, Vec<String>> = [("label".to_owned(), vec![OWNER.to_owned()])].into();
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(options)).await.map_err(of_engine)? {
        let owner = container.labels.as_ref().and_then(|labels| labels.get(OWNER));
        if let (Some(id), Some(owner)) = (&container.id, owner)
            && !lives(owner)
        {
            remove(docker, id, RemoveContainerOptionsBuilder::new().force(true).v(true).build()).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_earlier_one_of_its_number_does_not() {
        let me = me().unwrap();
        assert!(lives(&me));
        assert!(!lives(&me.replacen(' ', " 1", 1)));
        assert!(!lives(&format!("{me}0")));
        assert!(!lives("not a process"));
    }

    #[tokio::test]
    async fn what_is_kept_dies_with_the_pipe_but_not_with_a_word() {
        let mut sleep = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = sleep.id().unwrap();
        drop(Keeper::start(pid).unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(sleep.try_wait().unwrap().is_none());
        Survivor::start(KEEP, &[pid.to_string().as_ref(), born(pid).unwrap().to_string().as_ref()]).map(drop).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&sleep.wait().await.unwrap()), Some(9));
    }
}
