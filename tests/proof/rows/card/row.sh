# shellcheck shell=bash disable=SC2034
proves="ten healthy minutes: 0 bytes written to the state directory"
machine=here
tools=(strace)
builds=(cargo test --locked --test crash --no-run)
seconds=900
