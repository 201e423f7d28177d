# shellcheck shell=bash disable=SC2034
proves="the daemon killed 216 times, in every phase of its spool: no entry lost, none twice, none with a changed time"
machine=here
tools=(strace)
builds=(cargo test --locked --test crash --no-run)
seconds=3600
