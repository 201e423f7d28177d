# shellcheck shell=bash # The script that sources this defines `stop`, and sources packaging/debian.sh.
# What the emulated machines need of the machine that they run on.

# Tools from bookworm itself. gcc-12 is what Debian's kernel headers ask for.
host_packages=(cpio e2fsprogs gcc gcc-12 iproute2 kmod libc6-dev libelf1 make util-linux xz-utils)
# QEMU 10 from backports: the Pi 3 of bookworm's 7.2 is not complete enough.
backport_packages=(qemu-system-arm qemu-system-x86)

# Signs Debian's own package lists.
archive_key=/usr/share/keyrings/debian-archive-keyring.gpg
# In front of a command that takes root.
sudo=()
[[ $(id -u) == 0 ]] || sudo=(sudo)

require_debian() {
    [[ $(uname -m) == x86_64 ]] || stop "these proofs run on amd64, and this is $(uname -m)."
    grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || stop "these proofs need Debian 12 (bookworm)."
    command -v cargo >/dev/null || stop "no cargo: install Rust first (rustup is the usual way)."
    install_packages "" "${host_packages[@]}"
    if ! qemu-system-aarch64 --version 2>/dev/null | grep -q 'version 1[0-9]\.'; then
        install_packages amd64 "${backport_packages[@]}"
    fi
}
