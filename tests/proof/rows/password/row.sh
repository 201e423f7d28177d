# shellcheck shell=bash disable=SC2034
proves="a wrong password for a minute, then the right one: no entry lost"
machine=here
builds=(cargo test --locked --test crash --no-run)
seconds=1500
