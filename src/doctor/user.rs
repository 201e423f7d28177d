//! Who the daemon runs as, and what the kernel would let that user open.
//!
//! The rule is the kernel's for files (owner, else group, else others; root may all). Whoever asks may be somebody else than
//! the daemon: root asks for the service's user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The user that the package makes for the service.
pub const SERVICE: &str = "gatepost";

/// A user with the groups that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Its name, or its number where it has none.
    pub name: String,
    /// Its number; 0 may do everything.
    pub uid: u32,
    /// Its groups by number.
    pub groups: Vec<u32>,
    /// Groups that it was given since it logged in: they count at its next login.
    pub later: Vec<u32>,
}

/// The machine's users and groups, as `/etc/passwd` and `/etc/group` have them.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Those below `root`.
    pub fn read(root: &Path) -> Self {
        let text = |name| fs::read_to_string(root.join(name)).unwrap_or_default();
        Self { passwd: text("etc/passwd"), group: text("etc/group") }
    }

    /// A user by its name.
    pub fn user(&self, name: &str) -> Option<User> {
        let mut user = self.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let user = user.find(|parts| parts.first() == Some(&name))?;
        let number = |place: usize| user.get(place)?.parse().ok();
        let mut groups: Vec<u32> = number(3).into_iter().chain(self.groups_of(name)).collect();
        groups.dedup();
        Some(User { name: name.to_owned(), uid: number(2)?, groups, later: Vec::new() })
    }

    /// This process: its own groups, and those that its user was given since.
    pub fn myself(&self) -> User {
        let uid = rustix::process::geteuid().as_raw();
        let own = rustix::process::getgroups().unwrap_or_default();
        let mut groups = vec![rustix::process::getegid().as_raw()];
        groups.extend(own.iter().map(|group| group.as_raw()));
        let is_me = |line: &&str| line.split(':').nth(2).and_then(|number| number.parse().ok()) == Some(uid);
        let line = self.passwd.lines().find(is_me);
        let name = line.and_then(|line| line.split(':').next()).map_or_else(|| uid.to_string(), str::to_owned);
        let later = self.groups_of(&name).filter(|group| !groups.contains(group)).collect();
        User { name, uid, groups, later }
    }

    /// A group's name, or its number where it has none.
    pub fn group_name(&self, group: u32) -> String {
        let found = self.group.lines().find(|line| line.split(':').nth(2) == Some(&group.to_string()));
        found.and_then(|line| line.split(':').next()).map_or_else(|| group.to_string(), str::to_owned)
    }

    fn groups_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        let lines = self.group.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines.filter_map(move |parts| {
            let is_member = parts.get(3)?.split(',').any(|member| member == name);
            is_member.then(|| parts.get(2)?.parse().ok()).flatten()
        })
    }
}

/// Who may open something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl Rights {
    /// Those of a path; links are followed.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|found| Self { uid: found.uid(), gid: found.gid(), mode: found.mode() })
    }

    /// Whether the user may read and write it.
    pub fn let_in(self, user: &User) -> bool {
        self.has(user, 0o6)
    }

    /// Whether the user may read it.
    pub fn let_read(self, user: &User) -> bool {
        self.has(user, 0o4)
    }

    /// Whether the user may go through it: what a folder needs for anything in it to be opened.
    pub fn let_pass(self, user: &User) -> bool {
        self.has(user, 0o1)
    }

    /// The first folder above a file, from the root, that the user may not go through.
    pub fn barrier(file: &Path, user: &User) -> Option<PathBuf> {
        let whole = file.canonicalize().ok()?;
        let folders: Vec<&Path> = whole.ancestors().skip(1).collect();
        let closed = |folder: &&Path| Self::of(folder).is_some_and(|rights| !rights.let_pass(user));
        folders.into_iter().rev().find(closed).map(Path::to_owned)
    }

    /// Whether the user may make files in it.
    pub fn let_make(self, user: &User) -> bool {
        self.has(user, 0o3)
    }

    fn has(self, user: &User, bits: u32) -> bool {
        let shift = if user.uid == self.uid {
            6
        } else if user.groups.contains(&self.gid) {
            3
        } else {
            0
        };
        user.uid == 0 || (self.mode >> shift) & bits == bits
    }
}

#[cfg(test)]
pub(super) fn accounts(passwd: &str, group: &str) -> Accounts {
    Accounts { passwd: passwd.to_owned(), group: group.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pi() -> Accounts {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\nrubbish\n";
        accounts(passwd, "root:x:0:\ndialout:x:20:pi,guest\ni2c:x:994:pi\ngpio:x:997:guest\npi:x:1000:\n")
    }

    #[test]
    fn user_has_its_own_group_and_those_that_name_it() {
        let expected = User { name: "pi".to_owned(), uid: 1000, groups: vec![1000, 20, 994], later: Vec::new() };
        assert_eq!(pi().user("pi"), Some(expected));
        assert_eq!(pi().user("rubbish"), None);
        assert_eq!((pi().group_name(997).as_str(), pi().group_name(5).as_str()), ("gpio", "5"));
    }

    #[test]
    fn node_is_open_to_its_owner_its_group_and_root_as_its_mode_says() {
        let user = pi().user("pi").expect("it is there");
        let node = |uid, gid, mode: u32| Rights { uid, gid, mode: 0o020_000 | mode };
        assert!(node(0, 994, 0o660).let_in(&user), "by its group");
        assert!(!node(0, 997, 0o660).let_in(&user), "another group");
        assert!(!node(1000, 994, 0o060).let_in(&user), "the owner's bits count for the owner, and no other");
        assert!(!node(0, 994, 0o640).let_in(&user), "to read is not enough");
        assert!(node(0, 0, 0o666).let_in(&user) && !node(0, 0, 0o664).let_in(&user));
        assert!(node(5, 5, 0).let_in(&pi().user("root").expect("it is there")), "root may all");
    }
}
