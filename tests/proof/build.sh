# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and defines `stop`.
# What is built for the emulated machines beside the binary (packaging/binary.sh): the package, kernel modules that Debian's
# kernels leave out, and the rows' own programs. Each function prints the path of what it built.

# build_package ARCHITECTURE: the package, by the script that makes those that people install.
build_package() {
    local made
    packaging/build "$1" >&2 || stop "packaging/build makes no package for $1."
    made=("$proof"/../../target/package/gatepost_*_"$1".deb)
    printf '%s' "${made[0]}"
}

# gpio-sim.ko for the amd64 kernel. Debian leaves CONFIG_GPIO_SIM off, so it is built from Debian's own kernel source, only
# unpacked. irq_sim, which it needs, is linked into it.
build_gpio_sim() {
    local version=$1 work=$cache/gpio-sim
    if [[ ! -f $work/gpio-sim.ko ]]; then
        rm -rf "$work"
        unpack amd64 "$work/unpacked" linux-source-6.12/bookworm-backports
        tar -C "$work" -xf "$work/unpacked/usr/src/linux-source-6.12.tar.xz" --strip-components=3 \
            linux-source-6.12/drivers/gpio/gpio-sim.c linux-source-6.12/kernel/irq/irq_sim.c
        # A module may not link to an object of its own name.
        mv "$work/gpio-sim.c" "$work/gpio-sim-main.c"
        # irq_to_desc is not exported to modules; generic_handle_irq looks the descriptor up and runs the same handler.
        sed -i 's/handle_simple_irq(irq_to_desc(irqnum));/generic_handle_irq(irqnum);/' "$work/irq_sim.c"
        printf 'obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-main.o irq_sim.o\n' >"$work/Kbuild"
        make_module "$version" "$work"
        rm -r "$work/unpacked"
    fi
    printf '%s' "$work/gpio-sim.ko"
}

# build_module VERSION SOURCE: a row's own kernel module of one file, for the amd64 kernel.
build_module() {
    local name work
    name=$(basename "${2%.c}")
    work=$cache/modules/$name
    if [[ ! $work/$name.ko -nt $2 ]]; then
        rm -rf "$work"
        mkdir -p "$work"
        cp "$2" "$work/"
        echo "obj-m := $name.o" >"$work/Kbuild"
        make_module "$1" "$work"
    fi
    printf '%s' "$work/$name.ko"
}

# make_module VERSION FOLDER: by Debian's kernel headers, which are unpacked once.
make_module() {
    local unpacked=$cache/kernel-headers headers=$cache/kernel-headers/usr/src/linux-headers-$1
    if [[ ! -d $headers ]]; then
        rm -rf "$unpacked" "$unpacked.part"
        unpack amd64 "$unpacked.part" "linux-headers-$1" "linux-headers-${1%-amd64}-common" "linux-kbuild-${1%-amd64}"
        # The one absolute path in the headers.
        sed -i "s#^include /usr/src#include $unpacked/usr/src#" "$unpacked.part/usr/src/linux-headers-$1/Makefile"
        # The kernel's type information would be added to a module, which takes one more tool (pahole) and serves nobody.
        rm "$unpacked.part/usr/src/linux-headers-$1/vmlinux"
        mv "$unpacked.part" "$unpacked"
    fi
    make -s -C "$headers" "M=$2" modules >&2 || stop "the module in $2 does not build."
}

# build_program SOURCE TARGET: a row's own program of one file, for amd64.
build_program() {
    rustc --edition 2024 -O -D warnings -o "$2" "$1" >&2 || stop "$1 does not build."
}
