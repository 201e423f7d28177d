# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and `proof`, and what the row says.
# The emulated machines: a kernel of Debian's (6.12, the series that Raspberry Pi OS runs) and a RAM disk with glibc and busybox,
# which is all there is, or hands over to a Debian on a disk (`amd64-debian`, `pi3-debian`). There is a network only where a row
# asks for one: a row's files go along in a second RAM disk, and its words come back by the serial console. KVM is not used, so
# that a run means the same everywhere.

# The Debian architecture of a machine.
architecture_of() {
    case $1 in
        amd64 | amd64-debian | container-amd64) echo amd64 ;;
        pi3 | pi3-debian | container-arm64) echo arm64 ;;
        *) stop "no machine '$1': there are amd64, pi3, these two with -debian, container-amd64, container-arm64 and here." ;;
    esac
}

# boot MACHINE TIMEOUT NUMBER CLOCK [OPTION...]: runs the row's probe.sh as root, with options for QEMU; prints the console;
# returns the probe's status. The kernel hands words that it does not know to the guest's init, as variables: which of the
# row's boots this is, what time it is, whether init sets the clock (`set`) or leaves it as it is (`unset`), and where a Debian
# is and how it is mounted.
boot() {
    local architecture kernel qemu words="panic=-1 loglevel=1 proof_boot=$3 proof_clock=$4 proof_now=$(date +%s)"
    architecture=$(architecture_of "$1")
    kernel=$(<"$cache/$architecture/kernel")
    qemu=(-nodefaults -no-reboot -display none -serial stdio -initrd "$cache/$architecture/initrd"
        -kernel "$cache/$architecture/linux/boot/vmlinuz-$kernel" "${@:5}")
    if [[ $1 == *-debian ]]; then
        # The probe's orders to QEMU go into this pipe.
        monitor=$cache/monitor
        rm -f "$monitor.in" "$monitor.out"
        mkfifo "$monitor.in" "$monitor.out"
        qemu+=(-chardev "pipe,id=monitor,path=$monitor" -mon monitor)
        words+=" net.ifnames=0 proof_root=${system_disk[$architecture]} proof_mode=rw"
        [[ $3 != "$read_only_boot" ]] || words=${words/%rw/ro}
        words+=" ${service_words[*]} systemd.setenv=proof_boot=$3 systemd.setenv=proof_now=$(date +%s)"
    fi
    case $architecture in
        amd64) qemu=(qemu-system-x86_64 -M q35 -accel "tcg,thread=multi" -cpu max -m 1024 -smp 2 "${qemu[@]}"
            -append "console=ttyS0 $words") ;;
        # iomem=relaxed lets root map the GPIO registers through /dev/mem; a Pi's own kernel has /dev/gpiomem for it.
        arm64) qemu=(qemu-system-aarch64 -M raspi3b "${qemu[@]}"
            -dtb "$cache/arm64/linux/usr/lib/linux-image-$kernel/broadcom/bcm2837-rpi-3-b.dtb"
            -append "console=ttyAMA0,115200 iomem=relaxed $words") ;;
    esac
    if [[ $(type -t beside) == function ]]; then
        export -f beside
        export cache lookalike
        # A network of their own, with nothing but its loopback; and whoever is beside the machine ends with it.
        # shellcheck disable=SC2016 # The words of the inner shell.
        qemu=(unshare --map-root-user --net
            bash -c 'ip link set lo up; setpriv --pdeathsig KILL bash -c beside & exec "$@"' - "${qemu[@]}")
    fi
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

# make_disks MACHINE FOLDER DISK...: fresh disks, as `ext4:MEGABYTES` or `blank:MEGABYTES`; the first is /dev/vda, or /dev/vdb
# behind that of a Debian. Prints QEMU's options, one a line. The host's cache may lie about what is on them: the host does not
# fail within a row.
make_disks() {
    local architecture folder=$2 disk number=0 image
    rm -rf "$folder"
    mkdir -p "$folder"
    if [[ $1 == *-debian ]]; then
        architecture=$(architecture_of "$1")
        image=$folder/system.img
        cp --sparse=always "$cache/$architecture/system.img" "$image"
        printf '%s\n' -drive "file=$image,if=${system_bus[$architecture]},format=raw,cache=unsafe"
    fi
    for disk in "${@:3}"; do
        image=$folder/$((number++)).img
        truncate -s "${disk#*:}M" "$image"
        # What an SD card's ext4 has, in small: blocks of 1 KiB and the least journal.
        [[ $disk != ext4:* ]] || mkfs.ext4 -q -F -b 1024 -J size=1 "$image" >&2
        printf '%s\n' -drive "file=$image,if=virtio,format=raw,cache=unsafe"
    done
}

# Runs QEMU, or a container, until the guest has said its exit status, and returns that. The emulated Pi cannot switch itself
# off, so it is ended from here.
ending=(kill)
run_until_verdict() {
    local timeout=$1 console qemu piece line="" status="" deadline
    shift
    exec {console}< <(exec "$@" </dev/null 2>&1)
    qemu=$!
    undo+=("${ending[*]} $qemu 2>/dev/null")
    deadline=$((SECONDS + timeout))
    while [[ -z $status && $SECONDS -lt $deadline ]]; do
        if IFS= read -r -t 1 -u "$console" piece; then
            line=${line}${piece%$'\r'}
            printf '%s\n' "$line"
            printf '%s\n' "$line" >>"$cache/console"
            if [[ $line =~ ^PROOF-QEMU\ (.+)$ ]]; then
                echo "${BASH_REMATCH[1]}" >"$monitor.in"
            elif [[ $line == *"Kernel panic"* ]]; then
                # Not every machine ends by that.
                status=1
            elif [[ $line =~ ^PROOF-EXIT\ ([0-9]+)$ ]]; then
                status=${BASH_REMATCH[1]}
            fi
            line=""
        else
            # The second was over in the middle of a line, or QEMU has ended.
            line+=$piece
            [[ -e /proc/$qemu ]] || break
        fi
    done
    "${ending[@]}" "$qemu" 2>/dev/null || true
    # The next boot may want its disks.
    wait "$qemu" 2>/dev/null || true
    exec {console}<&-
    if [[ -z $status ]]; then
        echo "the machine gave no verdict within $timeout s"
        return 1
    fi
    return "$status"
}
