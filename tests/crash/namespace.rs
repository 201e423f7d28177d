//! A namespace of the kernel's: mounts or a network of a scenario's own. Root has them for the asking; others where the
//! system lets a user have some.

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
    own: Own,
    keeper: Program,
}

impl Namespace {
    /// One in which these lines of a shell have succeeded.
    ///
    /// # Panics
    /// In one line that says what is missing, where the system does not allow it.
    pub(crate) fn new(own: Own, setup: &str) -> Self {
        let mut command = tool("unshare", "util-linux");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.arg(own.option()).args(kept(setup));
        Self::kept_by(command, own)
    }

    /// A further one of its kind, whose owner this one's is: things can be moved between the two.
    pub(crate) fn further(&self, setup: &str) -> Self {
        let mut command = tool("unshare", "util-linux");
        command.arg(self.own.option()).args(kept(setup));
        Self::kept_by(self.enter(&command), self.own)
    }

    fn kept_by(keeper: Command, own: Own) -> Self {
        let mut keeper = Program::start(keeper);
        let is_ready = keeper.hear("ready", SOON).is_some();
        assert!(
            is_ready,
            "no namespace of its own for this test ({}): run it as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0)",
            keeper.said()
        );
        Self { own, keeper }
    }

    /// The process that keeps it.
    pub(crate) fn pid(&self) -> u32 {
        self.keeper.id()
    }

    /// The same command inside.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut inside = tool("nsenter", "util-linux");
        inside.args(["--target", &self.pid().to_string(), self.own.option()]);
        if !is_root() {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg("--").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
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

impl Own {
    const fn option(self) -> &'static str {
        match self {
            Self::Mounts => "--mount",
            Self::Network => "--net",
        }
    }
}

/// A shell that carries out these lines and then keeps what it is in.
fn kept(setup: &str) -> [String; 3] {
    ["sh".to_owned(), "-ec".to_owned(), format!("{setup}\necho ready; exec sleep infinity")]
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
