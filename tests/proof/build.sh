# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and defines `stop`.
# What is built for the emulated machines beside the binary (packaging/binary.sh): the one kernel module that Debian's
# kernels leave out, and the rows' own programs. Each function prints the path of what it built.

# gpio-sim.ko for the amd64 kernel. Debian leaves CONFIG_GPIO_SIM off, so it is built from Debian's own kernel source
# against Debian's headers, both only unpacked. irq_sim, which it needs, is linked into it.
build_gpio_sim() {
    local version=$1 work=$cache/gpio-sim headers
    if [[ ! -f $work/gpio-sim.ko ]]; then
        rm -rf "$work"
        headers=$work/unpacked/usr/src/linux-headers-$version
        unpack amd64 "$work/unpacked" "linux-headers-$version" "linux-headers-${version%-amd64}-common" \
            "linux-kbuild-${version%-amd64}" linux-source-6.12/bookworm-backports
        # The one absolute path in the headers.
        sed -i "s#^include /usr/src#include $work/unpacked/usr/src#" "$headers/Makefile"
        # The kernel's type information would be added to the module, which takes one more tool (pahole) and serves nobody.
        rm "$headers/vmlinux"
        tar -C "$work" -xf "$work/unpacked/usr/src/linux-source-6.12.tar.xz" --strip-components=3 \
            linux-source-6.12/drivers/gpio/gpio-sim.c linux-source-6.12/kernel/irq/irq_sim.c
        # A module may not link to an object of its own name.
        mv "$work/gpio-sim.c" "$work/gpio-sim-main.c"
        # irq_to_desc is not exported to modules; generic_handle_irq looks the descriptor up and runs the same handler.
        sed -i 's/handle_simple_irq(irq_to_desc(irqnum));/generic_handle_irq(irqnum);/' "$work/irq_sim.c"
        printf 'obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-main.o irq_sim.o\n' >"$work/Kbuild"
        make -s -C "$headers" "M=$work" modules >&2 || stop "gpio-sim does not build."
        rm -r "$work/unpacked"
    fi
    printf '%s' "$work/gpio-sim.ko"
}

# build_program SOURCE TARGET: a row's own program of one file, for amd64.
build_program() {
    rustc --edition 2024 -O -D warnings -o "$2" "$1" >&2 || stop "$1 does not build."
}
