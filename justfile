# Single steps of the work. `./test` is the one command that a change must pass; the rest is for looking closer.

# List the recipes
default:
    @just --list

# Everything that a change must pass; CI runs exactly this
test:
    ./test

# Format and lints
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# The tests inside the libraries: no sockets beyond loopback, no broker
unit *args:
    cargo test --locked --workspace --lib {{ args }}

# The tests of the whole program, against the sandbox and a real Mosquitto
e2e *args:
    cargo test --locked --test '*' {{ args }}

# Fuzz what reads bytes from outside, with cargo-fuzz on a nightly toolchain: all targets for 60 s each, or `just fuzz TARGET SECONDS`
fuzz target="all" seconds="60":
    fuzz/run {{ target }} {{ seconds }}

# The drivers against a folder of real captures, named by GATEPOST_CAPTURES
captures:
    @test -d "${GATEPOST_CAPTURES:?name the folder of captures: GATEPOST_CAPTURES=/path/to/captures just captures}" \
        || { echo "GATEPOST_CAPTURES names no folder: $GATEPOST_CAPTURES" >&2; exit 1; }
    cargo test --locked --test captures -- --ignored --nocapture

# The whole way on this machine, with simulated hardware
demo *args:
    cargo run --locked -- demo {{ args }}

# The ThingSpeak look-alike by itself
sandbox *args:
    cargo run --locked -p thingspeak-sandbox -- {{ args }}

# Licences, bans and sources of the dependencies; needs no network
deny:
    @command -v cargo-deny >/dev/null || { echo "no cargo-deny: run 'cargo install cargo-deny --locked'" >&2; exit 1; }
    cargo deny --offline --workspace check licenses bans sources

# Advisories too; fetches the advisory database, or reads the one that cargo-deny has
advisories:
    @command -v cargo-deny >/dev/null || { echo "no cargo-deny: run 'cargo install cargo-deny --locked'" >&2; exit 1; }
    cargo deny --workspace check advisories

# What needs real kernel interfaces, on emulated machines: slow, prints a dated table (rows may be named)
proof *rows:
    tests/proof/run {{ rows }}

# Brokers of other makes: RabbitMQ and a cluster of it, aedes, amqtt; fetches them, prints a dated table (makes or rows may be named)
brokers *names:
    tests/others/run brokers {{ names }}

# Proxies of other makes: tinyproxy, Squid; fetches them, prints a dated table (makes or rows may be named)
proxies *names:
    tests/others/run proxies {{ names }}

# Cross-build for Windows and run what can run under Wine
windows:
    tests/proof/windows

# What the daemon costs with ten sensors beside a bare rumqttc program: CPU, wake-ups and memory (minutes may be given)
measure minutes="3":
    cargo build --release --locked
    cargo build --release --locked --manifest-path tests/measure/bare/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/bare"
    tests/measure/run {{ minutes }}

# What a growing map costs, from 10 to 10,000 sensors: CPU of a reading, memory, start and `check` (numbers of sensors may be given)
growth *sensors:
    cargo build --release --locked
    tests/growth/run {{ sensors }}

# The release binary through every kind of fault, as root: prints a table (minutes, a seed and `--only FAULT,...` may be given)
soak *args:
    cargo build --release --locked
    GATEPOST_SOAK="{{ args }}" GATEPOST_SOAK_PROGRAM="${CARGO_TARGET_DIR:-target}/release/gatepost" \
        cargo test --locked --test soak -- --ignored --nocapture

# What an entry costs in the spool: bytes, flushes, memory with 100,000 waiting, and time (benches may be named)
bench *names:
    cargo bench --locked --bench spool -- {{ names }}

# Write docs/map.md and docs/sensors.md from the code
docs:
    cargo run --locked --features docs -- docs target/docs
    cp target/docs/map.md target/docs/sensors.md docs/

# Size of the release binary
size:
    cargo build --release --locked
    @ls -l "${CARGO_TARGET_DIR:-target}/release/gatepost" | awk '{ printf "%.2f MB\n", $5 / 1e6 }'
