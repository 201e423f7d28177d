# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and `proof`, and what the row says.
# The emulated machines: a kernel of Debian's (6.12, the series that Raspberry Pi OS runs) and a RAM disk with glibc and busybox.
# There is no network, and a disk only where a row asks for one: a row's files go along in a second RAM disk, and its words
# come back by the serial console. KVM is not used, so that a run means the same everywhere.

# The Debian architecture of a machine.
architecture_of() {
    case $1 in
        amd64) echo amd64 ;;
        pi3) echo arm64 ;;
        *) stop "no machine '$1': there are amd64 and pi3." ;;
    esac
}

# build_machine MACHINE ROW_FOLDER MODULE...: makes all that the row needs to boot. The row's `packages` are unpacked, its
# `programs` built.
build_machine() {
    local architecture binary
    architecture=$(architecture_of "$1")
    shift
    binary=$("build_$architecture")
    unpack_kernel "$architecture"
    make_base "$architecture"
    make_payload "$architecture" "$binary" "$@"
    cat "$cache/$architecture/base.cpio.gz" "$cache/$architecture/payload.cpio.gz" >"$cache/$architecture/initrd"
}

# boot MACHINE TIMEOUT NUMBER CLOCK [OPTION...]: runs the row's probe.sh as root, with options for QEMU; prints the console;
# returns the probe's status. The kernel hands words that it does not know to the guest's init, as variables: which of the
# row's boots this is, what time it is, and whether init sets the clock (`set`) or leaves it as it is (`unset`).
boot() {
    local architecture kernel qemu words="panic=-1 loglevel=1 proof_boot=$3 proof_clock=$4 proof_now=$(date +%s)"
    architecture=$(architecture_of "$1")
    kernel=$(<"$cache/$architecture/kernel")
    qemu=(-nodefaults -no-reboot -display none -serial stdio -initrd "$cache/$architecture/initrd"
        -kernel "$cache/$architecture/root/boot/vmlinuz-$kernel" "${@:5}")
    case $1 in
        amd64) qemu=(qemu-system-x86_64 -M q35 -accel "tcg,thread=multi" -cpu max -m 1024 -smp 2 "${qemu[@]}"
            -append "console=ttyS0 $words") ;;
        # iomem=relaxed lets root map the GPIO registers through /dev/mem; a Pi's own kernel has /dev/gpiomem for it.
        pi3) qemu=(qemu-system-aarch64 -M raspi3b "${qemu[@]}"
            -dtb "$cache/arm64/root/usr/lib/linux-image-$kernel/broadcom/bcm2837-rpi-3-b.dtb"
            -append "console=ttyAMA0,115200 iomem=relaxed $words") ;;
    esac
    run_until_verdict "$2" "${qemu[@]}"
}

# boot_all MACHINE TIMEOUT BOOTS CLOCK [OPTION...]: as often as the row wants it; its disks are the same from boot to boot.
boot_all() {
    local number
    for ((number = 1; number <= $3; number++)); do
        [[ $3 == 1 ]] || echo "--- boot $number"
        boot "$1" "$2" "$number" "${@:4}" || return
    done
}

# make_disks FOLDER DISK...: fresh disks, as `ext4:MEGABYTES` or `blank:MEGABYTES`; /dev/vda is the first. Prints QEMU's
# options, one a line. The host's cache may lie about what is on them: the host does not fail within a row.
make_disks() {
    local folder=$1 disk number=0 image
    shift
    rm -rf "$folder"
    mkdir -p "$folder"
    for disk in "$@"; do
        image=$folder/$((number++)).img
        truncate -s "${disk#*:}M" "$image"
        # What an SD card's ext4 has, in small: blocks of 1 KiB and the least journal.
        [[ $disk != ext4:* ]] || mkfs.ext4 -q -F -b 1024 -J size=1 "$image" >&2
        printf '%s\n' -drive "file=$image,if=virtio,format=raw,cache=unsafe"
    done
}

# Runs QEMU until the guest has said its exit status, and returns that. The emulated Pi cannot switch itself off, so
# QEMU is ended from here.
run_until_verdict() {
    local timeout=$1 console qemu piece line="" status="" deadline
    shift
    exec {console}< <(exec "$@" </dev/null 2>&1)
    qemu=$!
    # shellcheck disable=SC2064
    trap "kill $qemu 2>/dev/null || true" EXIT
    deadline=$((SECONDS + timeout))
    while [[ -z $status && $SECONDS -lt $deadline ]]; do
        if IFS= read -r -t 1 -u "$console" piece; then
            line=${line}${piece%$'\r'}
            printf '%s\n' "$line"
            if [[ $line =~ ^PROOF-EXIT\ ([0-9]+)$ ]]; then
                status=${BASH_REMATCH[1]}
            fi
            line=""
        else
            # The second was over in the middle of a line, or QEMU has ended.
            line+=$piece
            kill -0 "$qemu" 2>/dev/null || break
        fi
    done
    kill "$qemu" 2>/dev/null || true
    # The next boot may want its disks.
    wait "$qemu" 2>/dev/null || true
    exec {console}<&-
    if [[ -z $status ]]; then
        echo "the machine gave no verdict within $timeout s"
        return 1
    fi
    return "$status"
}

# Unpacks the newest kernel of backports, once; its version stands in a file beside it.
unpack_kernel() {
    local folder=$cache/$1 image
    if [[ ! -f $folder/kernel ]]; then
        image=$(backports_version_of "$1" "linux-image-$1" linux-image-6)
        [[ -n $image ]] || stop "bookworm-backports has no linux-image-$1."
        rm -rf "$folder/root"
        unpack "$1" "$folder/root" "$image"
        depmod -b "$folder/root" "${image#linux-image-}"
        echo "${image#linux-image-}" >"$folder/kernel"
    fi
}

# The part of the RAM disk that every row shares.
make_base() {
    local folder=$cache/$1 base=$cache/$1/base
    [[ ! -f $folder/base.cpio.gz || $proof/guest/init -nt $folder/base.cpio.gz ]] || return 0
    rm -rf "$base"
    unpack "$1" "$base" busybox-static libc6 libgcc-s1
    # Character sets and documents nobody reads there.
    rm -rf "${base:?}"/usr/{share,lib/*/gconv}
    mkdir -p "$base"/{dev,proc,run,sys,tmp}
    install -m 755 "$proof/guest/init" "$base/init"
    pack "$base" "$folder/base.cpio.gz"
}

# The row's part: its folder, the helpers of probes, the binary, and the kernel modules with what they depend on.
make_payload() {
    local architecture=$1 binary=$2 row=$3 payload=$cache/$1/payload kernel module kind file
    shift 3
    kernel=$(<"$cache/$architecture/kernel")
    rm -rf "$payload"
    mkdir -p "$payload/proof/modules" "$payload/bin"
    cp -R "$row/." "$proof/guest/guest.sh" "$payload/proof/"
    install -m 755 "$binary" "$payload/bin/gatepost"
    add_packages "$architecture" "$payload"
    for file in "${programs[@]}"; do
        build_program "$row/$file" "$payload/bin/${file%.rs}"
    done
    : >"$payload/proof/modules/order"
    for module in "$@"; do
        if [[ $module == gpio-sim ]]; then
            file=$(build_gpio_sim "$kernel")
            add_module "$payload" "$file"
            continue
        fi
        # Lines of `insmod FILE`, dependencies first, or `builtin NAME`.
        modprobe -d "$cache/$architecture/root" -S "$kernel" --show-depends "$module" | while read -r kind file _; do
            [[ $kind != insmod ]] || add_module "$payload" "$file"
        done
    done
    pack "$payload" "$cache/$architecture/payload.cpio.gz"
}

# Adds the files of the row's packages, which are unpacked once.
add_packages() {
    local folder
    [[ ${#packages[@]} != 0 ]] || return 0
    folder=$cache/$1/packages/$(IFS=+ && echo "${packages[*]}")
    if [[ ! -d $folder ]]; then
        rm -rf "$folder.part"
        unpack "$1" "$folder.part" "${packages[@]}"
        rm -rf "$folder.part/usr/share"
        mv "$folder.part" "$folder"
    fi
    cp -R "$folder/." "$2/"
}

# Adds a module, unpacked, and its name to the order of loading.
add_module() {
    local folder=$1/proof/modules name
    name=$(basename "${2%.xz}")
    [[ ! -f $folder/$name ]] || return 0
    case $2 in
        *.xz) xz -dc "$2" >"$folder/$name" ;;
        *) cp "$2" "$folder/$name" ;;
    esac
    echo "$name" >>"$folder/order"
}

pack() {
    (cd "$1" && find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet | gzip -1) >"$2"
}
