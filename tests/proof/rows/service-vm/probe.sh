# shellcheck shell=dash source=tests/proof/guest/service.sh
# The service on a kernel of its own, as the package starts it: whether its sandbox lets it reach what it is for. The machine wakes
# up in 2001 and has no network. The second boot is that of a machine whose card is mounted read-only.
. /run/proof/service.sh

# The ends of the serial ports where the probe plays the device, by their place on the bus.
serial_end() {
    for port in /sys/class/tty/ttyS*; do
        case $(readlink -f "$port/device") in
            */pci*) echo "/dev/${port##*/}" ;;
        esac
    done | sed -n "$1p"
}

# A device at a serial port that tells its weight twice a second. weigh PORT WEIGHT
weigh() {
    stty -F "$1" raw -echo 2>/dev/null || true
    while sleep 0.5; do
        printf 'W=%s\r\n' "$2"
    done >"$1" &
}

# A chip with the lines that the map names, and pull-ups and values in `lines`.
plug_in_gpio() {
    mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
    chip=/sys/kernel/config/gpio-sim/house
    mkdir -p $chip/bank0/line2 $chip/bank0/line7
    echo 8 >$chip/bank0/num_lines
    echo GPIO22 >$chip/bank0/line2/name
    echo GPIO17 >$chip/bank0/line7/name
    # By the package's rules: udev looks for new ones every three seconds at most.
    udevadm control --reload
    echo 1 >$chip/live
    udevadm settle
    lines=/sys/devices/platform/$(cat $chip/dev_name)/$(cat $chip/bank0/chip_name)
}

# Rows of the service as `TIME UPTIME`.
rows() {
    sed -n 's/.*channel 1 stored entry [0-9]* of \([^ ]*\) .* field1=\([^ ]*\).*/\1 \2/p' /tmp/sandbox.log
}

# Whether each row has the time of its own slot, whenever that became known.
expect_true_times() {
    rows >/tmp/rows
    [ -s /tmp/rows ] || fail "there are no rows"
    untrue "$proof_now" </tmp/rows >/tmp/untrue.log
    [ ! -s /tmp/untrue.log ] || fail "rows that have not the times of their slots"
    say "$(wc -l </tmp/rows) rows, each with the time of its own slot"
}

# How the service's process stands: a user of its own, no capability, a filter of system calls.
expect_sandbox() {
    process=/proc/$(property MainPID)
    prints gatepost stat --format %U "$process" || fail "it does not run as its own user"
    grep -q '^CapEff:[[:space:]]*0*$' "$process/status" || fail "it has capabilities"
    grep -q '^Seccomp:[[:space:]]*2$' "$process/status" || fail "its system calls are not filtered"
    say "it runs as gatepost, with no capability and filtered system calls"
}

nothing_is_stored() {
    ! more_than 0 || fail "an entry went out before the clock was right"
    say "nothing went out before the clock was right: $(waiting | wc -l) entries wait"
}

first_boot() {
    # What may be written when the root is read-only: the state directory, on a disk of its own, and /tmp in memory.
    mkdir -p /var/lib/gatepost
    printf '/dev/vdb /var/lib/gatepost ext4 defaults 0 2\ntmpfs /tmp tmpfs defaults 0 0\n' >/etc/fstab
    systemctl daemon-reload
    mount -a
    install_package gatepost.deb
    plug_in_gpio
    start_sandbox
    give_credentials
    kill_sandbox
    write_map map.toml
    mark
    systemctl start gatepost || fail "the service does not start without network, clock and sensors"
    say "the service is up: $(property StatusText)"
    expect_sandbox

    start_sandbox
    wait_for 60 "entries wait for the clock" wait_count 3
    nothing_is_stored
    time-server "$proof_now" >/tmp/time-server.log 2>&1 &
    mkdir -p /run/systemd/timesyncd.conf.d
    printf '[Time]\nNTP=127.0.0.1\n' >/run/systemd/timesyncd.conf.d/proof.conf
    systemctl restart systemd-timesyncd
    wait_for 60 "timesyncd has set the clock" test -e /run/systemd/timesync/synchronized
    wait_for 60 "five entries are stored" more_than 4
    expect_true_times

    say "== pins"
    wait_for 20 "the door is closed" stored field2=0
    echo pull-down >"$lines/sim_gpio2/pull"
    wait_for 20 "the door is open" stored field2=1
    send field1=1
    wait_for 30 "the lamp is on" prints 1 cat "$lines/sim_gpio7/value"
    send field1=0
    wait_for 30 "the lamp is off" prints 0 cat "$lines/sim_gpio7/value"

    say "== 1-Wire"
    wait_for 30 "the tank's temperature is stored" stored field3=21.50
    echo -5250 >/sys/module/w1_fake/parameters/millidegrees
    wait_for 30 "and so is another" stored field3=-5.25

    say "== serial ports"
    weigh "$(serial_end 1)" 12.5
    wait_for 30 "a weight is stored" stored field4=12.5
    [ ! -e /dev/ttyUSB0 ] || fail "the USB port is there too early"
    ask_qemu device_add usb-serial,chardev=usb,bus=usb-bus.0,id=late
    wait_for 30 "a USB port is plugged in" test -c /dev/ttyUSB0
    weigh "$(serial_end 2)" 34.5
    wait_for 120 "what hangs at it is stored" stored field5=34.5

    say "== a bus that does not answer"
    mkdir -p /run/systemd/system/gatepost.service.d
    printf '[Service]\nWatchdogSec=10\n' >/run/systemd/system/gatepost.service.d/proof.conf
    systemctl daemon-reload
    systemctl restart gatepost
    entries_arrive "it runs under a watchdog of 10 s"
    mark
    echo 1 >/sys/module/w1_fake/parameters/silent
    wait_for 60 "the sensor whose bus hangs is named" told tank
    wait_for 60 "the watchdog has ended it" told 'Watchdog timeout'
    echo 0 >/sys/module/w1_fake/parameters/silent
    wait_for 60 "systemd has started it again" told 'Scheduled restart job'
    entries_arrive "entries come again"
    expect_true_times
    systemctl stop gatepost
    # The next boot needs the same certificate and credentials.
    cp -R "$sandbox" /etc/sandbox
    sync
}

second_boot() {
    ! touch /etc/proof 2>/dev/null || fail "the root is not read-only"
    plug_in_gpio
    wait_for 60 "the service is up on a read-only root" prints active property ActiveState
    expect_sandbox
    # Whoever sees the clock being set knows that it is right; so this one may not. What the first boot has left would go out at
    # once: its time is known.
    systemctl stop gatepost
    rm -rf /var/lib/gatepost/* /run/gatepost/*
    date -s "@$((proof_now + $(cut -d . -f 1 /proc/uptime)))" >/dev/null
    cp -R /etc/sandbox "$sandbox"
    start_sandbox
    systemctl start gatepost || fail "the service does not start on a read-only root"
    wait_for 60 "entries wait for the clock" wait_count 3
    nothing_is_stored
    # As chrony and ntpd tell it; the service may read it.
    keep-clock
    wait_for 60 "five entries are stored" more_than 4
    expect_true_times
}

case $proof_boot in
    1) first_boot ;;
    2) second_boot ;;
esac
