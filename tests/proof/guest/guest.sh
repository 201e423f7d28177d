# shellcheck shell=dash
# What probes share. A probe sources this first; it stops at the first failure.
set -eu

# From the kernel's command line: the time at boot, in seconds since 1970, and which of the row's boots this is.
: "${proof_now:?}" "${proof_boot:?}"

sandbox=/tmp/sandbox
# The program that has the sandbox; the package's own leaves it out.
lookalike=gatepost

# Says a sentence with the machine's own time.
say() {
    echo "[$(cut -d ' ' -f 1 /proc/uptime)] $*"
}

fail() {
    say "FAILED: $*"
    for log in /tmp/*.log; do
        [ ! -f "$log" ] || { echo "--- $log"; tail -n 40 "$log"; }
    done
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    limit=$1 what=$2 deadline=$(($(cut -d . -f 1 /proc/uptime) + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(cut -d . -f 1 /proc/uptime)" -lt "$deadline" ] || fail "$what: not within $limit s"
        sleep 0.2
    done
    say "$what"
}

# prints VALUE COMMAND...: whether the command prints just that.
prints() {
    expected=$1
    shift
    [ "$("$@")" = "$expected" ]
}

# start_sandbox [OPTION...]: starts the ThingSpeak look-alike: channel 1 for entries, 2 for commands or entries, 3 for more; an
# update every second. It may be started again, and then adds to its log.
start_sandbox() {
    rm -f "$sandbox/endpoints"
    "$lookalike" sandbox serve --dir "$sandbox" --channel 1:paid --channel 2:paid --channel 3:paid "$@" >>/tmp/sandbox.log 2>&1 &
    sandbox_process=$!
    wait_for 30 "the sandbox listens" test -s "$sandbox/endpoints"
}

# Ends it as a power cut over there would.
kill_sandbox() {
    { kill -9 "$sandbox_process" && wait "$sandbox_process"; } 2>/dev/null || true
    say "the sandbox is gone"
}

# Starts the daemon on the row's map, and waits until it can be commanded.
start_daemon() {
    gatepost check map.toml >/tmp/check.log 2>&1 || fail "the map has faults"
    gatepost run --verbose --config map.toml >/tmp/daemon.log 2>&1 &
    daemon=$!
    wait_for 60 "the daemon is online" grep -q 'link up' /tmp/daemon.log
}

# How many lines the daemon has claimed from the kernel: the cdev back end claims each, rppal none of its outputs.
claimed_lines() {
    grep -c gatepost /sys/kernel/debug/gpio || true
}

# stored PAIR: whether the last entry of channel 1 that has this field holds this value, as in field1=0.
stored() {
    prints "$1" sh -c "grep 'channel 1 stored' /tmp/sandbox.log | grep -o '${1%%=*}=[^ ]*' | tail -n 1"
}

# untrue BOOTED: of rows `TIME UPTIME …`, those whose time is not within a slot of BOOTED + their uptime. An entry has the uptime
# of its last reading, a second before its slot's end.
untrue() {
    awk -v booted="$1" '{
        split(substr($1, 12), clock, ":")
        apart = (clock[1] * 3600 + clock[2] * 60 + clock[3] - booted - $2) % 86400
        if (apart < -43200) apart += 86400
        if (apart > 43200) apart -= 86400
        if (apart < -1 || apart > 3) print
    }'
}

# Sends a field update to channel 2, as any other MQTT device would. The channel takes one a second.
send() {
    sleep 1.1
    say "field update: $1"
    "$lookalike" sandbox publish --dir "$sandbox" --channel 2 "$1" >/tmp/publish.log 2>&1 || fail "the update $1 was not stored"
}

# Ends the daemon as systemd would, and expects it to say that all went well.
stop_daemon() {
    kill "$daemon"
    status=0
    wait "$daemon" || status=$?
    [ "$status" = 0 ] || fail "the daemon ended with $status"
    say "the daemon has stopped with 0"
}
