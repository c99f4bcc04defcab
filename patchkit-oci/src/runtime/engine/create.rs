//! What the engine is told to create.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount as EngineMount, MountType,
};
use patchkit_core::{Capabilities, Command, Error, Limits, Mount, Network, Result};

/// A container for a command.
pub(super) fn body(image: &str, command: &Command) -> Result<ContainerCreateBody> {
    let own = command.args.split_first();
    Ok(ContainerCreateBody {
        image: Some(image.into()),
        entrypoint: own.map(|(program, _)| vec![program.clone()]),
        cmd: own.map(|(_, args)| args.to_vec()),
        env: Some(env(command)),
        user: command.user.clone(),
        working_dir: command.workdir.clone(),
        attach_stdin: Some(!command.stdin.is_empty()),
        open_stdin: Some(!command.stdin.is_empty()),
        stdin_once: Some(!command.stdin.is_empty()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        host_config: Some(host(command)?),
        ..ContainerCreateBody::default()
    })
}

/// Variables, as the API writes them.
pub(super) fn env(command: &Command) -> Vec<String> {
    command.env.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn host(command: &Command) -> Result<HostConfig> {
    let Command { mounts, limits, network, capabilities, read_only_root, .. } = command;
    let Limits { time: _, memory, processes, output: _ } = limits;
    let memory = memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    Ok(HostConfig {
        memory,
        memory_swap: memory,
        pids_limit: processes.map(i64::from),
        network_mode: Some(mode(network).into()),
        cap_drop: (*capabilities == Capabilities::None).then(|| vec!["ALL".into()]),
        readonly_rootfs: Some(*read_only_root),
        tmpfs: read_only_root.then(scratch),
        mounts: Some(mounts.iter().map(mount).collect::<Result<_>>()?),
        log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
        ..HostConfig::default()
    })
}

/// A port of the container's loopback is reached inside its network namespace: none needs to be published.
fn mode(network: &Network) -> &'static str {
    match network {
        Network::Host => "host",
        Network::Loopback | Network::None | Network::Ports(_) => "none",
    }
}

/// What is empty and can be written to below a root that cannot. `/dev/shm` always is.
fn scratch() -> HashMap<String, String> {
    [("/tmp", "rw,mode=1777"), ("/run", "rw,mode=755")].map(|(at, options)| (at.into(), options.into())).into()
}

fn mount(mount: &Mount) -> Result<EngineMount> {
    let Mount { source, target, writable } = mount;
    let text = source.to_str().ok_or_else(|| Error::invalid("the path is no text").on(source.display()))?;
    Ok(EngineMount {
        source: Some(text.into()),
        target: Some(target.clone()),
        typ: Some(MountType::BIND),
        read_only: Some(!writable),
        ..EngineMount::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_the_images_own_run() {
        let body = body("x", &Command::default()).unwrap();
        assert_eq!((body.entrypoint, body.cmd), (None, None));
    }

    #[test]
    fn the_images_arguments_never_follow_ours() {
        let command = Command { args: vec!["/bin/true".into()], ..Command::default() };
        let body = body("x", &command).unwrap();
        assert_eq!((body.entrypoint, body.cmd), (Some(vec!["/bin/true".into()]), Some(vec![])));
    }
}
