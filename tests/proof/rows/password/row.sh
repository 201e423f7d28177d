# shellcheck shell=bash disable=SC2034
proves="a wrong password for a minute, then the right one: no entry lost"
machine=here
builds=(cargo test --locked --test crash --no-run)
# The minute, then up to five until the next try, and twice as long again for the backlog: two slots have room for one of its entries.
seconds=1500
