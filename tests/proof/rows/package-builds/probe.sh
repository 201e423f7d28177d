# shellcheck shell=bash
# Builds the three packages and looks at them as somebody who installs one would; then the amd64 one once more, in another
# folder, to the same bytes. Without installing anything: that is the other rows'.
set -euo pipefail
shopt -s inherit_errexit
PATH=$PATH:/usr/sbin:/sbin
row=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$(realpath "${CARGO_TARGET_DIR:-target}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

stop() {
    printf 'package-builds: %s\n' "$*" >&2
    exit 1
}

cache=$(realpath -m "${GATEPOST_PROOF_CACHE:-$target/proof}")
mkdir -p "$cache"
# shellcheck source=packaging/debian.sh
source packaging/debian.sh

# The 64-bit binary needs the C library of its architecture, which is only unpacked.
arm64_root() {
    [[ -d $work/libraries ]] || unpack arm64 "$work/libraries" libc6 libgcc-s1
    printf '%s' "$work/libraries"
}

# run ARCHITECTURE BINARY ARGUMENT...
run() {
    local architecture=$1 binary=$2 root
    shift 2
    case $architecture in
        amd64) timeout 60 "$binary" "$@" ;;
        arm64)
            root=$(arm64_root)
            timeout 60 qemu-aarch64-static "$root/lib/ld-linux-aarch64.so.1" --library-path "$root/lib/aarch64-linux-gnu" "$binary" "$@"
            ;;
        armhf) timeout 60 qemu-arm-static -cpu arm1176 "$binary" "$@" ;;
    esac
}

# keeps_to_what_it_has ARCHITECTURE FILES: the sandbox and the demo are left out, so nothing but the README, which says so, may
# name them as commands.
keeps_to_what_it_has() {
    local files=$2 page
    if run "$1" "$files/usr/bin/gatepost" --help | grep -Ew 'demo|sandbox'; then stop "--help names a command that is not there."; fi
    page=$(zcat "$files"/usr/share/man/man*/*.gz)
    if grep -E 'gatepost (demo|sandbox)' <<<"$page"; then stop "a man page names a command that is not there."; fi
    if grep -Erl 'gatepost (demo|sandbox)|subcmd__(demo|sandbox)' "$files" | grep -v '/README.md$'; then
        stop "these files name a command that is not there."
    fi
}

# look_at ARCHITECTURE PACKAGE: its control fields, files, modes and size, and its binary at work.
look_at() {
    local architecture=$1 package=$2 files=$work/$1 size said
    [[ $(dpkg-deb -f "$package" Architecture) == "$architecture" ]] || stop "$package is labelled wrongly."
    case $(dpkg-deb -f "$package" Depends) in
        *libc6*) [[ $architecture != armhf ]] || stop "$package depends on a C library, and its binary is static." ;;
        *) [[ $architecture == armhf ]] || stop "$package does not depend on the C library." ;;
    esac
    # Root is written with its name by one tool and without by the other.
    diff -u "$row/contents.txt" <(dpkg-deb -c "$package" | awk '$6 !~ /\/$/ { sub("root/root", "0/0", $2); print $1, $2, $6 }' | LC_ALL=C sort -k 3) ||
        stop "$package does not hold what it should."
    [[ $(dpkg-deb --ctrl-tarfile "$package" | tar -xO ./conffiles) == /etc/gatepost/gatepost.toml ]] ||
        stop "$package has other configuration files than the map."
    dpkg-deb -x "$package" "$files"
    # As dpkg and apt say it: in KiB, with one of overhead a file.
    size=$(($(dpkg-deb -f "$package" Installed-Size) * 1024))
    ((size < 6000000)) || stop "$package takes $size bytes installed."
    # What is overridden stands with its reason in packaging/lintian-overrides.
    lintian --allow-root --fail-on error,warning "$package" || stop "lintian has something to say about $package."
    [[ $(run "$architecture" "$files/usr/bin/gatepost" --version) == "gatepost $(dpkg-deb -f "$package" Version | sed 's/-.*//')" ]] ||
        stop "the binary in $package does not run."
    run "$architecture" "$files/usr/bin/gatepost" check "$files/etc/gatepost/gatepost.toml" | tail -n 1 | grep -qx 'the map is valid' ||
        stop "the map in $package does not pass its own check."
    # Whatever it finds on this machine: the steps are gone through.
    said=$(run "$architecture" "$files/usr/bin/gatepost" doctor "$files/etc/gatepost/gatepost.toml") || true
    [[ $said == *"gatepost.toml is valid"* ]] || stop "doctor does not run from $package."
    keeps_to_what_it_has "$architecture" "$files"
    grep -q 'serialport-.*' "$files/usr/share/doc/gatepost/copyright" || stop "$package does not name serialport, whose licence asks for it."
    printf '%-6s %7d bytes to download, %7d installed, %7d of them the binary\n' "$architecture" "$(stat -c %s "$package")" "$size" \
        "$(stat -c %s "$files/usr/bin/gatepost")"
}

# The same commit, in another folder and without what was built before.
build_again() {
    local again=$work/somewhere/else
    git clone -q . "$again"
    mkdir -p "$again/target/package"
    cp -r target/package/tools "$again/target/package/"
    (cd "$again" && env -u CARGO_TARGET_DIR packaging/build amd64 >&2)
    cmp "$1" "$again/target/package/${1##*/}" || stop "the package for amd64 came out differently in another folder."
    echo "amd64: the same bytes in another folder"
}

[[ -z $(git status --porcelain) ]] || stop "there are changes that are not committed, so a second build could not have them."
packaging/build
for architecture in amd64 arm64 armhf; do
    look_at "$architecture" "$(echo target/package/gatepost_*_"$architecture".deb)"
done
build_again "$(echo target/package/gatepost_*_amd64.deb)"
# The packages leave the sandbox out.
cargo build --locked
unshare --map-root-user --net --mount bash "$row/resolve.sh" "$work/armhf/usr/bin/gatepost" "$target/debug/gatepost"
