# shellcheck shell=bash
# A login that was refused for a minute is tried again after minutes only, hence no part of ./test.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cargo test --locked --test crash -- --ignored --exact outages::a_wrong_password_for_a_minute_loses_nothing --nocapture
