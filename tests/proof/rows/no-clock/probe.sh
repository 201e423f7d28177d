# shellcheck shell=dash source=tests/proof/guest/guest.sh
# A machine that wakes up in 2001, four times, with one disk. What it is told of the time differs:
#
#   1. its clock is about right, as from its last stop, and nothing vouches for it until timesyncd's marker is there;
#      then the service goes away, and entries with known times stay on the card
#   2. nothing ever sets the clock
#   3. after a minute the clock is set, and nothing else is said
#   4. its clock is about right, and the kernel is told so by adjtimex, as chrony and ntpd tell it
#
# The true time is that of the host at the boot, and what has passed since on the boot clock.
. /proof/guest.sh

sandbox=/state/sandbox
mkdir -p /state
mount -t ext4 /dev/vda /state
echo "$proof_now" >"/state/booted.$proof_boot"

set_clock() {
    date -s "@$((proof_now + $(cut -d . -f 1 /proc/uptime)))" >/dev/null
    say "the clock is set to $(date -u)"
}

# start MAP
start() {
    gatepost check "$1" >/tmp/check.log 2>&1 || fail "the map has faults"
    gatepost run --verbose --config "$1" --runtime-dir /run/gatepost --state-dir /state >/tmp/daemon.log 2>&1 &
    daemon=$!
}

told() {
    grep -q "$1" /tmp/daemon.log
}

# has_told COUNT WORDS
has_told() {
    [ "$(grep -c "$2" /tmp/daemon.log)" -ge "$1" ]
}

# Whether at most the entry waits that has just been made.
little_waits() {
    [ "$(gatepost spool list --entries --runtime-dir /run/gatepost --state-dir /state 2>/dev/null | wc -l)" -le 1 ]
}

# Rows of the service as `TIME UPTIME STATUS`, in the order of their coming.
rows() {
    sed -n 's/.* stored entry [0-9]* of \([^ ]*\) from .* field1=\([^ ]*\)\( status=\(.*\)\)\{0,1\}$/\1 \2 \4/p' "$1"
}

# How many rows there are, of all boots or of those that are marked as estimated.
rows_are() {
    [ "$(rows /tmp/sandbox.log | grep -c "${2:-.}")" -ge "$1" ]
}

# expect_true BOOT FILE: every row in the file has the time of its own slot.
expect_true() {
    [ -s "$2" ] || fail "there are no rows of boot $1"
    untrue "$(cat "/state/booted.$1")" <"$2" >/tmp/untrue.log
    [ ! -s /tmp/untrue.log ] || fail "rows of boot $1 that have not the times of their slots"
    say "boot $1: $(wc -l <"$2") rows, each with the time of its own slot"
}

nothing_is_stored() {
    ! rows_are 1 || fail "an entry went out before the clock was right"
    say "nothing went out before the clock was right: $(grep -c 'it waits until the clock is set' /tmp/daemon.log) entries wait"
}

end() {
    stop_daemon
    cp /tmp/sandbox.log "/state/sandbox.$proof_boot" 2>/dev/null || true
    umount /state
}

about_right_until() {
    set_clock
    start_sandbox
    start map.toml
    wait_for 60 "three entries wait for the clock" has_told 3 'it waits until the clock is set'
    nothing_is_stored
    "$@"
    wait_for 60 "the clock is right, says the daemon" told 'the clock is set: waiting'
}

case $proof_boot in
    1)
        timesyncd_marks() {
            mkdir -p /run/systemd/timesync
            touch /run/systemd/timesync/synchronized
            say "timesyncd's marker is there"
        }
        about_right_until timesyncd_marks
        wait_for 60 "five entries are stored" rows_are 5
        rows /tmp/sandbox.log >/tmp/rows
        expect_true 1 /tmp/rows
        kill_sandbox
        sleep 20
        end
        ;;
    2)
        # What the service is here: TLS with a certificate of these days. The sandbox's would hold in 2001 as well.
        set_clock
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
            -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
            -keyout /tmp/key.pem -out /tmp/certificate.pem 2>/tmp/openssl.log || fail "no certificate"
        date -s "2001-01-01 00:00:30" >/dev/null
        openssl s_server -www -accept 18443 -key /tmp/key.pem -cert /tmp/certificate.pem </dev/null >/tmp/tls.log 2>&1 &
        sed 's#^ca_file = .*#ca_file = "/tmp/certificate.pem"#' map.toml >/tmp/map.toml
        start /tmp/map.toml
        wait_for 60 "a wrong clock is told of" told "this machine's clock is wrong: it is at 2001-01-01T"
        grep "this machine's clock is wrong" /tmp/daemon.log | head -n 1
        wait_for 60 "five entries wait for the clock" has_told 5 'it waits until the clock is set'
        end
        ;;
    3)
        start_sandbox
        start map.toml
        sleep 60
        # What had its time in boot 1 may go.
        rows /tmp/sandbox.log >/tmp/rows
        expect_true 1 /tmp/rows
        say "nothing else went out in a minute: $(grep -c 'it waits until the clock is set' /tmp/daemon.log) entries of this boot wait"
        set_clock
        wait_for 60 "the clock is right, says the daemon" told 'the clock is set: waiting'
        wait_for 120 "entries of the boot before are stored" rows_are 5 estimated
        wait_for 120 "what had to wait is stored" little_waits
        rows /tmp/sandbox.log | sort >/tmp/sorted
        # By their place: before the estimated ones, those, after them.
        awk '/estimated/ { exit } { print }' /tmp/sorted >/tmp/first
        grep estimated /tmp/sorted >/tmp/second
        awk '/estimated/ { seen = NR } { line[NR] = $0 } END { for (at = seen + 1; at <= NR; at++) print line[at] }' \
            /tmp/sorted >/tmp/third
        expect_true 1 /tmp/first
        expect_true 3 /tmp/third
        echo "--- estimated:"
        cat /tmp/second
        [ "$(($(wc -l </tmp/first) + $(wc -l </tmp/second) + $(wc -l </tmp/third)))" = "$(wc -l </tmp/sorted)" ] ||
            fail "estimated times lie among known ones"
        # What is known: the last time of boot 1, and the beginning of boot 3.
        began=$(date -u -d "@$proof_now" +%Y-%m-%dT%H:%M:%SZ)
        last=$(tail -n 1 /tmp/first | cut -d ' ' -f 1)
        cut -d ' ' -f 1 /tmp/second | awk -v last="$last" -v began="$began" '$1 <= last || $1 > began { exit 1 }' ||
            fail "estimated times do not lie between $last and $began"
        say "boot 2: $(wc -l </tmp/second) rows, marked as estimated, between $last and $began"
        [ -z "$(cut -d ' ' -f 1 /tmp/sorted | uniq -d)" ] || fail "two rows have one time"
        end
        ;;
    4)
        # What boot 3 has left would go out at once: its time is known.
        rm -rf /state/spool
        about_right_until keep-clock
        wait_for 60 "five entries are stored" rows_are 5
        rows /tmp/sandbox.log >/tmp/rows
        expect_true 4 /tmp/rows
        end
        ;;
esac
