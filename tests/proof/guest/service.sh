# shellcheck shell=dash source=tests/proof/guest/guest.sh
# What probes share that look at gatepost as a service, on a Debian with systemd. A probe sources this first.
. /run/proof/guest.sh

export PATH="/run/proof/bin:$PATH" DEBIAN_FRONTEND=noninteractive SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
map=/etc/gatepost/gatepost.toml
lookalike=lookalike

fail() {
    say "FAILED: $*"
    for log in /tmp/*.log; do
        [ ! -f "$log" ] || { echo "--- $log"; tail -n 20 "$log"; }
    done
    echo "--- the service"
    systemctl --no-pager --lines=0 status gatepost || true
    journalctl --no-pager --output=short-monotonic --lines=60 --unit=gatepost || true
    exit 1
}

# install_package FILE: as people do, from what lies here alone.
install_package() {
    apt-get install -q -y -o Dpkg::Options::=--force-confold "/run/proof/$1" >>/tmp/apt.log 2>&1 || fail "apt-get install $1"
    say "$1 is installed: $(dpkg-query --show gatepost | tr '\t' ' ')"
}

# Puts beside the map what a person would: the credentials of the device, and here the certificate to trust.
give_credentials() {
    install -m 640 -g gatepost "$sandbox/gatepost_credentials.txt" /etc/gatepost/credentials/
    install -m 640 -g gatepost "$sandbox/ca.pem" /etc/gatepost/credentials/
}

# write_map FILE [SED_SCRIPT]: makes a file of the row the service's map, in place, so that owner and mode stay.
write_map() {
    sed "${2:-}" "$1" >"$map"
}

# The service's state, as one property of its unit.
property() {
    systemctl show --property "$1" --value gatepost
}

# told WORDS: whether the service has logged them since `mark`.
told() {
    journalctl --quiet --output=cat --unit=gatepost --after-cursor="$cursor" | grep -q -e "$1"
}

# From here on is what `told` looks at.
mark() {
    cursor=$(journalctl --quiet --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
}

# entries_stored: how many rows channel 1 has.
entries_stored() {
    grep -c 'channel 1 stored' /tmp/sandbox.log || true
}

# Waits until more rows come than there are.
entries_arrive() {
    had=$(entries_stored)
    wait_for 60 "$1" more_than "$had"
}

more_than() {
    [ "$(entries_stored)" -gt "$1" ]
}

# Entries that wait, as `CHANNEL TIME`, or with `(no time yet)`.
waiting() {
    # house (1)  2026-11-22T08:00:00Z  waits     field1=12.34  …
    gatepost spool list --entries 2>/dev/null | sed -n 's/^[a-z]* (\{0,1\}\([0-9]*\))\{0,1\}  \(([^)]*)\|[^ ]*\)  .*/\1 \2/p'
}

# wait_count NUMBER: whether at least so many wait.
wait_count() {
    [ "$(waiting | wc -l)" -ge "$1" ]
}

# arrived FILE: whether each entry of the file, as `waiting` lists them, is a row of the service.
arrived() {
    sed -n 's/.*channel \([0-9]*\) stored entry [0-9]* of \([^ ]*\) .*/\1 \2/p' /tmp/sandbox.log >/tmp/rows
    ! grep -vxF -f /tmp/rows "$1"
}

# What `apt-get remove` takes, and what it leaves for a purge.
expect_removed() {
    [ ! -e /usr/bin/gatepost ] || fail "the program is still there"
    [ -f $map ] || fail "the map is gone"
    [ -d /var/lib/gatepost ] || fail "the state directory is gone"
}

# The service's time without a network: entries wait for it until it is known to be right.
clock_is_right() {
    mkdir -p /run/systemd/timesync
    touch /run/systemd/timesync/synchronized
}

# ask_qemu COMMAND...: has the host say this to QEMU's monitor.
ask_qemu() {
    echo "PROOF-QEMU $*"
}
