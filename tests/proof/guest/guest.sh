# shellcheck shell=sh
# What probes share. A probe sources this first; it stops at the first failure.
set -eu

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
    limit=$1 what=$2 tries=0
    shift 2
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt $((limit * 5)) ] || fail "$what: not within $limit s"
        sleep 0.2
    done
    say "$what"
}

# is VALUE COMMAND...: whether the command prints just that.
is() {
    expected=$1
    shift
    [ "$("$@")" = "$expected" ]
}
