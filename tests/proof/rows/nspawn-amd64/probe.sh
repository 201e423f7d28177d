# shellcheck shell=dash source=tests/proof/guest/service.sh
# The package's whole life under systemd, from the install to the purge.
. /run/proof/service.sh

# Every file of the root, with what /etc holds. Left out: what is kept in memory, logs, and what apt, dpkg and systemd keep of
# whatever was installed; and the lists of users, since the user stays, as is the custom.
list_root() {
    find / -xdev \( -path /tmp -o -path /run -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/apt \
        -o -path /var/cache -o -path /var/lib/systemd \) -prune -o -print | sort
    find /run /var/lib/systemd -name '*gatepost*' | sort
    find /etc -type f ! -name '*-' ! -name passwd ! -name shadow ! -name group ! -name gshadow -exec cksum {} + | sort -k 3
}

# expect_status WORDS: what a person reads in `systemctl status`.
expect_status() {
    wait_for 20 "systemctl status says so: $1" sh -c "systemctl show --property StatusText gatepost | grep -qi -e '$1'"
    systemctl --no-pager --lines=0 status gatepost | grep Status:
}

# From now on a file system lies over the file's folder whose server never answers the kernel: whoever looks for the file hangs, as
# at a bus that is stuck.
hang() {
    exec 3<>/dev/fuse
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other silent /run/sensor
}

# Its server is gone, and so is it: the file is back.
answer() {
    exec 3>&-
    umount --lazy /run/sensor
}

# Whether the daemon leaves its next try to connect for later than half a minute.
tries_are_rare() {
    gatepost status --json | grep -q '"next_try_s": *\([3-9][0-9]\|[0-9]\{3,\}\)[.,]'
}

list_root >/tmp/before
clock_is_right
mkdir /run/sensor
install_package older.deb
systemctl is-enabled --quiet gatepost || fail "the service is not enabled"
start_sandbox
give_credentials
echo 7 >/run/sensor/level
write_map map.toml
mark
systemctl restart gatepost || fail "the service does not start"
prints gatepost stat --format %U "/proc/$(property MainPID)" || fail "it does not run as its own user"
entries_arrive "an entry is stored"
wait_for 20 "the file's number is stored" stored field2=7
expect_status 'link up'

say "== reload"
pid=$(property MainPID)
mark
write_map map.toml 's/field2/field3/'
systemctl reload gatepost || fail "a good map is not taken"
wait_for 20 "the log says so" told 'map reloaded'
wait_for 20 "the new map is in force" stored field3=7
mark
write_map map.toml 's/^use = "file"/use = "fil"/'
! systemctl reload gatepost 2>/tmp/reload.log || fail "a bad map is taken"
entries_arrive "after a refused map entries come as before"
kill -HUP "$pid"
wait_for 20 "a bare SIGHUP with a bad map is refused" told 'the new map is not used'
expect_status 'the new one has faults'
entries_arrive "entries come as before"
prints "$pid" property MainPID || fail "it is another process"
write_map map.toml
echo 9 >/run/sensor/level
systemctl reload gatepost || fail "the first map is not taken again"
wait_for 20 "the first map is in force" stored field2=9

say "== the network is away"
# The broker is on another machine, behind a router.
ip netns add far
ip link add near type veth peer name far netns far
ip addr add 192.0.2.1/24 dev near
ip link set near up
ip route add default via 192.0.2.2
ip -n far link set lo up
ip -n far addr add 198.51.100.2/32 dev lo
ip -n far addr add 192.0.2.2/24 dev far
ip -n far link set far up
kill_sandbox
printf '#!/bin/sh\nexec ip netns exec far lookalike "$@"\n' >/tmp/lookalike
chmod 755 /tmp/lookalike
lookalike=/tmp/lookalike
start_sandbox --bind 198.51.100.2
write_map map.toml 's/^host = .*/host = "198.51.100.2"/'
systemctl reload gatepost || fail "the map with the other broker is not taken"
entries_arrive "the broker behind the router is reached"
mark
ip route del default
wait_for 60 "the link is down" told 'link down'
wait_for 600 "the next try is half a minute away" tries_are_rare
waiting >/tmp/waited
ip route add default via 192.0.2.2
wait_for 15 "the link is up again" told 'link up again'
wait_for 300 "each of the $(wc -l </tmp/waited) entries that waited is stored" arrived /tmp/waited
! journalctl --quiet --output=cat --unit=gatepost | grep 'cannot watch' || fail "the kernel's word on routes does not reach the service"
kill_sandbox
ip link del near
ip netns del far
lookalike=lookalike
start_sandbox
write_map map.toml
systemctl reload gatepost || fail "the first map is not taken again"
entries_arrive "the first broker is reached again"

say "== kill -9"
kill_sandbox
wait_for 60 "entries wait" wait_count 5
waiting >/tmp/waited
kill -9 "$pid"
wait_for 60 "systemd has started it again" prints 1 property NRestarts
start_sandbox
wait_for 60 "each of the $(wc -l </tmp/waited) entries that waited is stored" arrived /tmp/waited

say "== watchdog"
mkdir -p /run/systemd/system/gatepost.service.d
printf '[Service]\nWatchdogSec=10\n' >/run/systemd/system/gatepost.service.d/proof.conf
systemctl daemon-reload
systemctl restart gatepost
wait_for 30 "it runs under a watchdog of 10 s" prints active property ActiveState
sleep 15
prints 0 property NRestarts || fail "it was restarted while all was well"
mark
hang
wait_for 60 "a sensor's read that hangs is named" told 'level'
wait_for 60 "the watchdog has ended it" told 'Watchdog timeout'
answer
echo 8 >/run/sensor/level
wait_for 60 "it was started again" prints 1 property NRestarts
wait_for 60 "the number is stored" stored field2=8
rm -r /run/systemd/system/gatepost.service.d
systemctl daemon-reload

say "== a bad map at the start"
write_map map.toml 's/^use = "file"/use = "fil"/'
! systemctl restart gatepost 2>/tmp/restart.log || fail "it starts with a bad map"
prints 78 property ExecMainStatus || fail "it does not exit with 78"
sleep 8
prints failed property ActiveState || fail "it was started again"
prints 0 property NRestarts || fail "it was started again"
say "exit code 78, and no restart"
write_map map.toml
systemctl start gatepost
entries_arrive "with a good map it starts"

say "== upgrade"
kill_sandbox
wait_for 60 "entries wait" wait_count 5
waiting >/tmp/waited
cksum $map >/tmp/map
install_package gatepost.deb
cksum $map | cmp - /tmp/map || fail "the map is another one"
waiting >/tmp/kept
! grep -vxF -f /tmp/kept /tmp/waited || fail "entries are missing after the upgrade"
wait_for 60 "it runs" prints active property ActiveState
start_sandbox
wait_for 60 "each of the $(wc -l </tmp/waited) entries that waited is stored" arrived /tmp/waited

say "== remove and purge"
kill_sandbox
wait_for 60 "entries wait" wait_count 3
apt-get remove -q -y gatepost >>/tmp/apt.log 2>&1 || fail "apt-get remove"
expect_removed
prints inactive systemctl is-active gatepost || fail "the service runs without its package"
apt-get purge -q -y gatepost >>/tmp/apt.log 2>&1 || fail "apt-get purge"
list_root >/tmp/after
diff /tmp/before /tmp/after >/tmp/left.log || fail "something is left"
say "nothing is left"
