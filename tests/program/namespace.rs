//! A namespace of the kernel's: mounts or a network of a test's own. Root has them for the asking; others where the
//! system lets a user have some. Shared by the suites that need one; it is no suite of its own.

use std::process::Command;

use crate::program::{Program, SOON, tool};

/// What a namespace is to have of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Mounts,
    Network,
}

/// A namespace, kept by a program that sleeps in it.
pub(crate) struct Namespace {
    /// What it does not share with this process.
    apart: Vec<Own>,
    keeper: Program,
}

impl Namespace {
    /// One in which these lines of a shell have succeeded.
    ///
    /// # Panics
    /// In one line that says what is missing, where the system does not allow it.
    pub(crate) fn new(own: &[Own], setup: &str) -> Self {
        let mut command = tool("unshare", "util-linux");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(own.iter().map(|own| own.option())).args(["sh", "-ec", &kept(setup)]);
        Self::keep(own.to_vec(), command)
    }

    /// One within this one: apart from it in what it has of its own, and the same in everything else.
    pub(crate) fn within(&self, own: Own, setup: &str) -> Self {
        let mut command = tool("unshare", "util-linux");
        command.arg(own.option()).args(["sh", "-ec", &kept(setup)]);
        let mut apart = self.apart.clone();
        if !apart.contains(&own) {
            apart.push(own);
        }
        Self::keep(apart, self.enter(&command))
    }

    fn keep(apart: Vec<Own>, command: Command) -> Self {
        let mut keeper = Program::start(command);
        let is_ready = keeper.hear("ready", SOON).is_some();
        assert!(
            is_ready,
            "no namespace of its own for this test ({}): run it as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0)",
            keeper.said()
        );
        Self { apart, keeper }
    }

    /// The process that keeps it.
    pub(crate) fn pid(&self) -> u32 {
        self.keeper.id()
    }

    /// The same command inside.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut inside = tool("nsenter", "util-linux");
        inside.args(["--target", &self.pid().to_string()]).args(self.apart.iter().map(|own| own.option()));
        if !is_root() {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg("--");
        behind(inside, command)
    }

    /// The same command in a network within, which `ip netns` has made.
    pub(crate) fn enter_network(&self, name: &str, command: &Command) -> Command {
        let mut inside = tool("nsenter", "util-linux");
        inside.arg(format!("--net=/run/netns/{name}")).arg("--");
        self.enter(&behind(inside, command))
    }

    /// Carries out lines of a shell inside.
    pub(crate) fn sh(&self, lines: &str) {
        let mut command = Command::new("sh");
        command.args(["-ec", lines]);
        let mut shell = Program::start(self.enter(&command));
        let status = shell.wait_for_end();
        assert!(status.success(), "{lines}: {}", shell.said());
    }
}

/// A command that ends up as the other one.
pub(crate) fn behind(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    wrapper
}

impl Own {
    const fn option(self) -> &'static str {
        match self {
            Self::Mounts => "--mount",
            Self::Network => "--net",
        }
    }
}

/// A shell that sleeps once these lines have succeeded, for as long as whoever started it lives.
fn kept(setup: &str) -> String {
    format!("{setup}\necho ready; exec setpriv --pdeathsig KILL sleep infinity")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
