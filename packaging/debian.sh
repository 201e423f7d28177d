# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and defines `stop`.
# What comes from Debian: tools installed on this machine, and packages that are only unpacked into the cache (the standard
# library for arm64; for tests/proof the kernels and the emulated machines' files). The latter, and what
# bookworm-backports alone has, come through package lists of our own, so that this machine's apt sources stay as they are.
# They name no mirror: the one this machine uses is taken from its own sources.

# install_packages LISTS PACKAGE...: installs what is missing. LISTS is empty for this machine's own package lists, or
# the architecture of one of ours, and then backports come first. Nothing is ever removed for it: apt refuses instead.
install_packages() {
    local lists=$1 package text missing=() as_root=() options=()
    shift
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    # Asked for from backports means: also when an older one is installed.
    [[ -z $lists ]] || missing=("$@")
    [[ ${#missing[@]} != 0 ]] || return 0
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || stop "missing: ${missing[*]}. Install them, or run this as root."
        as_root=(sudo)
    fi
    echo "${0##*/}: installing ${missing[*]}" >&2
    if [[ -z $lists ]]; then
        "${as_root[@]}" apt-get update -q >&2
    else
        text=$(lists_options "$lists")
        mapfile -t options <<<"$text"
        options+=(-t bookworm-backports)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get "${options[@]}" install -q -y --no-remove --no-install-recommends "${missing[@]}" </dev/null >&2 ||
        stop "apt-get could not install ${missing[*]}."
}

# The mirror that this machine's sources name for a suite.
# shellcheck disable=SC2016 # The names are apt's.
mirror_of() {
    local mirror
    mirror=$(apt-get indextargets --format '$(RELEASE) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$1" '$1 == suite || $2 == suite { print $3; exit }')
    [[ -n $mirror ]] || stop "this machine's apt sources do not name the suite $1."
    printf '%s' "$mirror"
}

# Options for apt that make it use lists of our own, one a line. Made at the first call.
lists_options() {
    local folder=$cache/apt/$1 key=/usr/share/keyrings/debian-archive-keyring.gpg debian security options
    if [[ ! -f $folder/complete ]]; then
        mkdir -p "$folder/lists/partial"
        # In assignments of their own: a failure inside a here-document would go unnoticed.
        debian=$(mirror_of bookworm)
        security=$(mirror_of bookworm-security)
        cat >"$folder/sources.list" <<SOURCES
deb [signed-by=$key] $debian bookworm main
deb [signed-by=$key] $debian bookworm-backports main
deb [signed-by=$key] $security bookworm-security main
SOURCES
        mapfile -t options < <(plain_options "$1")
        apt-get "${options[@]}" update -q >&2 ||
            stop "apt-get update failed for our own lists."
        touch "$folder/complete"
    fi
    plain_options "$1"
}

plain_options() {
    local folder=$cache/apt/$1
    printf '%s\n' "-oDir::Etc::sourcelist=$folder/sources.list" -oDir::Etc::sourceparts=- \
        "-oDir::State::lists=$folder/lists" -oDir::Cache::pkgcache= -oDir::Cache::srcpkgcache= \
        "-oAPT::Architectures=$1" -oAPT::Sandbox::User=root
}

# unpack ARCHITECTURE FOLDER PACKAGE...: the packages' files, without installing anything and without dependencies.
# A package may be given as NAME/SUITE.
unpack() {
    local architecture=$1 folder=$2 text options downloads package
    shift 2
    text=$(lists_options "$architecture")
    mapfile -t options <<<"$text"
    # Its own list of installed packages is empty, whatever this machine has.
    options+=("-oAPT::Architecture=$architecture" -oDir::State::status=/dev/null)
    downloads=$(mktemp -d -p "$cache")
    echo "${0##*/}: unpacking $* for $architecture" >&2
    (cd "$downloads" && apt-get "${options[@]}" download -q "$@" >&2) || stop "apt-get could not download $*."
    mkdir -p "$folder"
    for package in "$downloads"/*.deb; do
        dpkg -x "$package" "$folder"
    done
    rm -r "$downloads"
}

# The package that a metapackage of bookworm-backports depends on by the given start of its name.
backports_version_of() {
    local text options
    text=$(lists_options "$1")
    mapfile -t options <<<"$text"
    apt-cache "${options[@]}" "-oAPT::Architecture=$1" -oDir::State::status=/dev/null show "$2/bookworm-backports" |
        grep -o "$3[^ ,]*" | head -n 1
}
