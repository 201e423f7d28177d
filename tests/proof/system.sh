# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and `proof`, and what the row says.
# Debians with systemd as their first program, for rows that look at the package as a service: in a container on this machine's
# kernel, or on the disk of an emulated machine. Each is made once, and no row changes it: a container's changes go to memory,
# a machine's to a snapshot of the disk.

# What a Pi has before gatepost is installed, as far as gatepost meets it.
system_packages=systemd,systemd-sysv,systemd-timesyncd,dbus,udev,kmod,procps,iproute2
# SD cards have a power of two as their size.
system_image_size=1024M
# How an emulated machine has that disk, as QEMU and as its kernel name it, and what the kernel needs for it.
declare -A system_bus=([amd64]=virtio [arm64]=sd) system_disk=([amd64]=/dev/vda [arm64]=/dev/mmcblk0)
declare -A system_modules=([amd64]="virtio_blk ext4" [arm64]="bcm2835 sdhci-iproc ext4")

# make_system ARCHITECTURE: the root, as a folder. It is without apt's lists: nothing can be downloaded into it.
make_system() {
    local folder=$cache/$1/system mirror
    # What was made with other packages is made again.
    [[ ! -d $folder || $(cat "$folder.packages" 2>/dev/null) != "$system_packages" ]] || return 0
    "${sudo[@]}" rm -rf "$folder" "$cache/$1/system.img"
    install_packages "" arch-test mmdebstrap
    run_foreign "$1"
    mirror=$(mirror_of bookworm)
    echo "proof: making a Debian for $1" >&2
    mkdir -p "$cache/$1"
    "${sudo[@]}" rm -rf "$folder.part"
    # shellcheck disable=SC2016 # The root's path is given to the hook.
    "${sudo[@]}" mmdebstrap --quiet --mode=root --architectures="$1" --variant=minbase --include="$system_packages" \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/*' \
        --customize-hook='echo gatepost >"$1/etc/hostname"; echo "127.0.0.1 localhost gatepost" >"$1/etc/hosts"' \
        --customize-hook='echo 0123456789abcdef0123456789abcdef >"$1/etc/machine-id"' \
        bookworm "$folder.part" "deb [signed-by=$archive_key] $mirror bookworm main" >&2 ||
        stop "there is no Debian for $1."
    "${sudo[@]}" mv "$folder.part" "$folder"
    echo "$system_packages" >"$folder.packages"
}

# make_system_image ARCHITECTURE: the same on an ext4, with the kernel's modules.
make_system_image() {
    local folder=$cache/$1 work
    make_system "$1"
    [[ ! -f $folder/system.img ]] || return 0
    work=$(mktemp -d -p "$cache")
    "${sudo[@]}" cp -a --reflink=auto "$folder/system" "$work/system"
    "${sudo[@]}" cp -R "$folder/linux/lib/modules" "$work/system/usr/lib/"
    truncate -s "$system_image_size" "$work/image"
    "${sudo[@]}" mkfs.ext4 -q -F -d "$work/system" "$work/image" || stop "there is no disk for $1."
    mv "$work/image" "$folder/system.img"
    "${sudo[@]}" rm -rf "$work"
}

# build_container ARCHITECTURE ROW_FOLDER: makes all that the row needs to boot its container.
build_container() {
    install_packages "" systemd-container
    make_system "$1"
    rm -rf "$cache/$1/service"
    make_service_payload "$1" "$2" "$cache/$1/service"
}

# boot_container ARCHITECTURE TIMEOUT: as `boot` for an emulated machine. It has a network of its own, with nothing in it.
boot_container() {
    run_foreign "$1"
    ending=("${sudo[@]}" kill)
    # A shutdown would save nothing, and an arm64 systemd does not hear the signal for it: QEMU keeps that to itself.
    run_until_verdict "$2" "${sudo[@]}" systemd-nspawn --quiet --directory "$cache/$1/system" \
        --volatile=overlay --boot --private-network --register=no --keep-unit --kill-signal=SIGKILL \
        --bind /dev/fuse --bind-ro "$cache/$1/service:/run/proof" \
        --bind-ro "$proof/guest/proof.service:/run/systemd/system/proof.service" \
        "${service_words[@]}" "systemd.setenv=proof_now=$(date +%s)" systemd.setenv=proof_boot=1
}

# Words for a system's systemd: run the probe, and leave the console to it.
service_words=(systemd.wants=proof.service systemd.show_status=no systemd.log_color=no systemd.getty_auto=no systemd.firstboot=no)

# make_service_payload ARCHITECTURE ROW_FOLDER PAYLOAD: what goes along with a probe that looks at the service: the row's folder,
# the helpers of probes, the package, an older one, and the program with the sandbox, which the package's own leaves out.
make_service_payload() {
    local payload=$3 package file
    mkdir -p "$payload/bin"
    add_lookalike "$1" "$payload"
    package=$(build_package "$1")
    cp -R "$2/." "$proof/guest/guest.sh" "$proof/guest/service.sh" "$payload/"
    cp "$package" "$payload/gatepost.deb"
    make_older "$package" "$payload/older.deb"
    for file in "${programs[@]}"; do
        build_program "$2/$file" "$payload/bin/$(basename "${file%.rs}")"
    done
    prepare "$payload"
}

# add_lookalike ARCHITECTURE PAYLOAD: the sandbox is this machine's own build whatever the architecture, since an arm64 container
# has this machine's kernel; there it brings its libraries along. On an emulated Pi it does not run, but on the host beside it.
add_lookalike() {
    local binary=$2/bin/lookalike
    cargo build --locked >&2
    if [[ $1 != amd64 ]]; then
        make_base amd64
        mkdir -p "$2/amd64"
        cp "$cache"/amd64/base/lib/x86_64-linux-gnu/{ld-linux-x86-64.so.2,libc.so.6,libm.so.6,libgcc_s.so.1} "$2/amd64/"
        # shellcheck disable=SC2016 # The words of the script.
        printf '#!/bin/sh\nfolder=/run/proof/amd64\nexec $folder/ld-linux-x86-64.so.2 --library-path $folder $folder/lookalike "$@"\n' >"$binary"
        chmod 755 "$binary"
        binary=$2/amd64/lookalike
    fi
    strip -o "$binary" "$lookalike"
}

# make_older PACKAGE OLDER: the same package as one of the version before, whose map had another first line.
make_older() {
    local work
    work=$(mktemp -d -p "$cache")
    dpkg-deb --raw-extract "$1" "$work/older"
    sed -i 's/^Version: /Version: 0~/' "$work/older/DEBIAN/control"
    sed -i '1s/.*/## The map of the version before./' "$work/older/etc/gatepost/gatepost.toml"
    dpkg-deb --root-owner-group --build -Zgzip "$work/older" "$2" >&2
    rm -r "$work"
}

# run_foreign ARCHITECTURE: lets this kernel run that architecture's programs through QEMU until the row is over.
run_foreign() {
    local registry=/proc/sys/fs/binfmt_misc
    [[ $1 != amd64 && ! -e $registry/qemu-aarch64 ]] || return 0
    install_packages "" qemu-user-static
    # The package has registered it where systemd does that.
    [[ ! -e $registry/qemu-aarch64 ]] || return 0
    [[ -e $registry/register ]] || "${sudo[@]}" mount -t binfmt_misc binfmt_misc "$registry"
    # F: the interpreter is opened here and now, so that no root needs to have it.
    sed 's/:[^:]*$/:OPF/' /usr/lib/binfmt.d/qemu-aarch64.conf | "${sudo[@]}" tee "$registry/register" >/dev/null
    undo+=("echo -1 | ${sudo[*]} tee $registry/qemu-aarch64 >/dev/null")
}
