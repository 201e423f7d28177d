# shellcheck shell=bash
# Watches every system call of the daemon for ten minutes.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cargo test --locked --test crash -- --ignored --exact quiet::ten_healthy_minutes_write_nothing_to_the_disk --nocapture
