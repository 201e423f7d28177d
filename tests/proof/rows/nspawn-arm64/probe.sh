# shellcheck shell=dash source=tests/proof/guest/service.sh
# The arm64 package on a Debian for arm64, whose programs QEMU runs one by one on this machine's kernel. What it says of systemd
# is in the row for amd64; this one shows that the package for most Pis holds what that one holds.
. /run/proof/service.sh

prints arm64 dpkg --print-architecture || fail "this is no arm64"
clock_is_right
install_package gatepost.deb
start_sandbox
give_credentials
write_map map.toml
mark
systemctl restart gatepost || fail "the service does not start"
entries_arrive "an entry is stored"

mark
write_map map.toml 's/field1/field2/'
systemctl reload gatepost || fail "a good map is not taken"
wait_for 60 "the new map is in force" told 'map reloaded'

kill -9 "$(property MainPID)"
wait_for 60 "systemd has started it again" prints 1 property NRestarts
entries_arrive "entries are stored again"

apt-get remove -q -y gatepost >>/tmp/apt.log 2>&1 || fail "apt-get remove"
expect_removed
apt-get purge -q -y gatepost >>/tmp/apt.log 2>&1 || fail "apt-get purge"
for folder in /etc/gatepost /var/lib/gatepost /run/gatepost; do
    [ ! -e $folder ] || fail "$folder is left"
done
say "nothing is left"
