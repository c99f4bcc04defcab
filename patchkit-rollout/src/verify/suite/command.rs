//! What a suite's commands are to a runtime.

use std::{collections::BTreeSet, time::Duration};

use patchkit_core::{Capabilities, Command, Limits, Mount, Network};

use super::{Environment, Service, Suite, Test, description::Reach};

/// The most time that one run of a suite may take, where it does not say: half an hour.
const TIME: Duration = Duration::from_secs(1800);

/// How much of each output and report is kept, where the suite does not say: 64 MiB.
const OUTPUT: u64 = 64 << 20;

impl Suite {
    /// What all its commands have in common.
    pub(super) fn command(&self) -> Command {
        let Environment { network: _, read_only, no_capabilities, user, env, time, memory, processes, output } =
            &self.environment;
        let mounts = self.fixtures.iter().map(|fixture| Mount {
            source: fixture.source.clone(),
            target: fixture.target.clone(),
            writable: false,
        });
        Command {
            env: env.clone(),
            user: user.clone(),
            mounts: mounts.collect(),
            limits: Limits {
                time: Some(time.unwrap_or(TIME)),
                memory: memory.map(|size| size.0),
                processes: *processes,
                output: Some(output.map_or(OUTPUT, |size| size.0)),
            },
            network: self.network(),
            capabilities: if *no_capabilities { Capabilities::None } else { Capabilities::Default },
            read_only_root: *read_only,
            observe: true,
            ..Command::default()
        }
    }

    /// What can be reached: on a loopback, the ports that are asked whether a service is ready.
    fn network(&self) -> Network {
        let ports: BTreeSet<_> = self.ports().collect();
        match self.environment.network {
            Reach::Host => Network::Host,
            Reach::None => Network::None,
            Reach::Loopback if ports.is_empty() => Network::Loopback,
            Reach::Loopback => Network::Ports(ports),
        }
    }

    /// The ports that are asked whether a service is ready.
    fn ports(&self) -> impl Iterator<Item = u16> {
        self.services.iter().flat_map(|service| service.ready.ports())
    }

    /// The command of a service.
    pub(super) fn service(&self, service: &Service) -> Command {
        let mut command = Command { args: service.command.clone(), ..self.command() };
        command.env.extend(service.env.clone());
        command.user = service.user.clone().or(command.user);
        command
    }

    /// The command of a test.
    pub(super) fn test(&self, test: &Test) -> Command {
        let mut command = Command { args: test.command.clone(), workdir: test.workdir.clone(), ..self.command() };
        command.env.extend(test.env.clone());
        command.user = test.user.clone().or(command.user);
        command.limits.time = test.time.or(command.limits.time);
        let coverage = test.coverage.iter().map(|coverage| &coverage.file);
        command.collect = test.report.file.iter().chain(coverage).cloned().collect();
        command
    }
}
