#!/usr/bin/env bash
# Does a static binary find its broker by name, on a system set up like a Raspberry Pi OS? Runs the daemon, for ARMv6 on an
# emulated Pi Zero's processor, in a network of its own, where a name server on loopback alone knows `broker.test`, and
# nsswitch.conf is the Pi's. It is proven when the sandbox at that name has stored an entry.
#
#   unshare --map-root-user --net --mount resolve.sh BINARY SANDBOX
#
# BINARY is the daemon for ARMv6, SANDBOX a gatepost for this machine that has the sandbox.
set -euo pipefail
binary=$1 sandbox=$2
folder=$(mktemp -d)
pids=()
clean() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$folder"
}
trap clean EXIT

# wait_for FILE WORDS: until the file holds them.
wait_for() {
    local _
    for _ in $(seq 600); do
        if grep -qs "$2" "$1"; then return 0; fi
        sleep 0.2
    done
    echo "$1 never said '$2':" >&2
    cat "$folder"/*.log >&2
    exit 1
}

ip link set lo up
# As Raspberry Pi OS has it: mdns4_minimal cannot be loaded into a static program, and the line must lead on to dns.
printf 'passwd: files\ngroup: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n' >"$folder/nsswitch.conf"
printf 'nameserver 127.0.0.1\n' >"$folder/resolv.conf"
printf '127.0.0.1 localhost\n' >"$folder/hosts"
for file in nsswitch.conf resolv.conf hosts; do
    mount --bind "$folder/$file" "$(realpath "/etc/$file")"
done

dnsmasq --no-daemon --conf-file=/dev/null --user=root --group=root --bind-interfaces --listen-address=127.0.0.1 --no-hosts --no-resolv \
    --log-queries --address=/broker.test/127.0.0.1 >"$folder/names.log" 2>&1 &
pids+=($!)
"$sandbox" sandbox serve --dir "$folder/sandbox" --tcp 0 --tls 0 --ws 0 --wss 0 --name broker.test --channel 1:paid \
    --device gatepost=1 >"$folder/sandbox.log" 2>&1 &
pids+=($!)
wait_for "$folder/sandbox/endpoints" '^wss = '
port=$(sed -n 's/^wss = .*://p' "$folder/sandbox/endpoints")

# run_at HOST: the daemon with that broker, until the caller has seen enough.
run_at() {
    cat >"$folder/$1.toml" <<MAP
version = 1
clock = "system"
[broker]
host = "$1"
port = $port
ca_file = "$folder/sandbox/ca.pem"
[device.pi]
credentials = "$folder/sandbox/gatepost_credentials.txt"
[channel.room]
id = 1
every = "2s"
license = "paid"
[[sensor]]
name = "air"
use = "bme280"
bus = "i2c-1"
address = 0x76
every = "1s"
to.temperature = "room.field1"
MAP
    chmod 600 "$folder/$1.toml"
    qemu-arm-static -cpu arm1176 "$binary" run --simulate --publish-simulated --config "$folder/$1.toml" >"$folder/$1.log" 2>&1 &
    pids+=($!)
}

run_at broker.test
wait_for "$folder/sandbox.log" 'entry 1'
grep -q 'query.*broker.test' "$folder/names.log" || { echo "the entry came without a question to the name server" >&2; exit 1; }
echo "broker.test: found through the name server, and an entry is stored over WSS"

# What does not work, so that it is said and not discovered: names of mDNS, which need that module.
run_at broker.local
sentence='the name broker.local cannot be resolved: this build for 32-bit Pis cannot look up names that end in .local'
wait_for "$folder/broker.local.log" "$sentence"
echo "as expected: $sentence"
