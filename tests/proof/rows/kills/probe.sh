# shellcheck shell=bash
# Kills the daemon at exact system calls and holds what arrived against what was acknowledged; the counts are in the log.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cargo test --locked --test crash -- --ignored kills::eight_rounds --nocapture
