# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache`, defines `stop` and sources debian.sh.
# The release binary for each architecture, by Debian's compiler, so that the same commit gives the same bytes on every
# Debian 12. Each function takes more options for cargo and prints the path of what it built.

# Whatever folder, user and registry folder this is built in: none of them is in the binary.
remapped() {
    printf '%s' "--remap-path-prefix=$PWD=/gatepost --remap-path-prefix=$(cargo_home)=/cargo --remap-path-prefix=$cache=/cache"
}

cargo_home() {
    printf '%s' "${CARGO_HOME:-$HOME/.cargo}"
}

# build_release TRIPLE RUSTFLAGS [OPTION...] [-- RUSTC_OPTION...]: one build in a folder of its own: another compiler's
# build scripts would make the two builds undo each other. The standard library is built along, from Debian's source of it:
# for size like the rest, without what prints backtraces, which say nothing in a stripped binary; and for ARMv6 Debian has it
# no other way. cargo lets a released compiler do so only with RUSTC_BOOTSTRAP.
build_release() {
    local triple=$1 flags=$2 variable
    shift 2
    variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")_RUSTFLAGS
    env -u RUSTFLAGS "$variable=$(remapped)${flags:+ $flags}" "CFLAGS=-ffile-prefix-map=$(cargo_home)=/cargo -ffile-prefix-map=$PWD=/gatepost" \
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo rustc --bin gatepost --release --locked --target "$triple" --target-dir "$cache/target" \
        -Zbuild-std=std,panic_unwind -Zbuild-std-features=panic-unwind,optimize_for_size "$@" >&2 ||
        stop "gatepost does not build for $triple: see the lines above."
    printf '%s' "$cache/target/$triple/release/gatepost"
}

build_amd64() {
    install_packages "" cargo-web rustc-web rust-web-src gcc libc6-dev
    # This processor's code is the largest, so more is done for its size. Addresses that are fixed at the start are kept packed,
    # which saves 140 kB; the C library reads that from 2.36 on. And a short function is copied to its callers a little sooner
    # than the compiler does for size, which was found to save 70 kB.
    build_release x86_64-unknown-linux-gnu "" "$@" -- -Cllvm-args=-inline-threshold=15 -Clink-arg=-Wl,-z,pack-relative-relocs
}

build_arm64() {
    install_packages "" cargo-web rustc-web rust-web-src gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
    build_release aarch64-unknown-linux-gnu "" "$@"
}

# One binary for every 32-bit Pi. Debian's own armhf is ARMv7 down to the start files of its C library, which a Pi 1 or
# Zero cannot run; its armel is ARMv5 and runs on all of them. So this is an ARMv6 program with floating point in
# software, linked statically with armel's C library: it asks nothing of the libraries of the system that it lands on.
build_armhf() {
    install_packages "" cargo-web rustc-web rust-web-src gcc libc6-dev gcc-arm-linux-gnueabi libc6-dev-armel-cross
    export CARGO_TARGET_ARM_UNKNOWN_LINUX_GNUEABI_LINKER=arm-linux-gnueabi-gcc CC_arm_unknown_linux_gnueabi=arm-linux-gnueabi-gcc
    build_release arm-unknown-linux-gnueabi "-Ctarget-feature=+crt-static" "$@"
}
