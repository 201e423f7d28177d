# shellcheck shell=dash source=tests/proof/guest/guest.sh
# The card is an ext4 under which dm-log-writes logs each write with its flushes, and marks of ours between them: when an
# entry came to wait, when the daemon said that it is on the card, when it left. Afterwards the power fails at each write:
# a copy of what the card held there is mounted, which replays ext4's journal, and the spool on it is read.
. /proof/guest.sh

card=/dev/vda log=/dev/vdb image=/tmp/image copy=/tmp/copy
mkdir -p /card /cut
mkfifo /tmp/told

# Marks what the daemon tells of its entries, at once; dmsetup waits until the mark has its place in the log.
mark_entries() {
    while read -r line; do
        echo "$line" >>/tmp/daemon.log
        # shellcheck disable=SC2086 # "channel 1: entry of 2026-11-22T08:00:00Z made" as its words.
        set -- ${line#*] }
        case $line in
            *'] channel '*' made') mark "waits/${2%:}/$5" ;;
            *'] channel '*' on the disk, up to '*) mark "card/${2%:}/${10}" ;;
            *'] channel '*' stored as '*) mark "left/${2%:}/$5" ;;
        esac
    done </tmp/told
}

mark() {
    dmsetup message card 0 mark "$1"
}

mark_seconds() {
    while sleep 1; do
        mark second
    done
}

start() {
    gatepost run --verbose --config /tmp/map.toml --runtime-dir /run/gatepost --state-dir /card >/tmp/told 2>&1 &
    daemon=$!
}

# logged_run DURABILITY: the daemon's life on the logged card: a service that goes and comes back, a crash, a stop.
logged_run() {
    sed "s/^DURABILITY$/$1/" map.toml >/tmp/map.toml
    rm -rf /run/gatepost
    : >/tmp/daemon.log
    dd if=/tmp/fresh of=$card bs=1M 2>/tmp/dd.log
    dmsetup create card --table "0 $(blockdev --getsz $card) log-writes $card $log"
    # The kernel's own name for it: there is no udev that would make another.
    mount -t ext4 /dev/dm-0 /card
    # Our own end of the pipe keeps it open over the daemon's end.
    exec 3<>/tmp/told
    mark_entries &
    marks=$!
    mark_seconds &
    seconds=$!
    start_sandbox
    gatepost check /tmp/map.toml >/tmp/check.log 2>&1 || fail "the map has faults"
    start
    sleep 8
    kill_sandbox
    sleep 10
    say "the daemon is killed"
    { kill -9 "$daemon" && wait "$daemon"; } 2>/dev/null || true
    start
    sleep 2
    start_sandbox
    sleep 10
    kill_sandbox
    sleep 5
    stop_daemon
    sleep 1
    kill "$marks" "$seconds"
    exec 3>&-
    umount /card
    dmsetup remove card
}

# Entries on the card as it is mounted at /cut: those that wait with their time as `CHANNEL TIME UPTIME`, others as they are.
list() {
    gatepost spool list --entries --runtime-dir /run/none --state-dir /cut >/tmp/list 2>/tmp/list.log || return
    # channel 1  2026-11-22T08:00:00Z  waits     field1=12.34  …
    sed 's/^channel \([0-9]*\)  \([^ ]*\)  waits  *field1=\([^ ]*\).*/\1 \2 \3/' /tmp/list
}

# Whether each entry holds the uptime of the time that it has: lines `CHANNEL TIME UPTIME` in, the others out.
garbage() {
    awk -v booted="$proof_now" '{
        split(substr($2, 12), clock, ":")
        apart = (clock[1] * 3600 + clock[2] * 60 + clock[3] - booted - $3) % 86400
        if (apart < 0) apart += 86400
        if (apart > 3 && apart < 86397) print
    }'
}

# lacks FILE FILE: lines of the first that the second does not have.
lacks() {
    grep -vxF -f "$2" "$1" || true
}

# look UNTIL: counts what is missing on the card as it is mounted at /cut, and what has no place there. Entries from UNTIL on
# were made later, and not by the daemon whose life is played back.
look() {
    list >/tmp/entries || fail "the spool cannot be read after write $place"
    awk -v until="$1" '$2 < until' /tmp/entries >/tmp/listed
    cut -d ' ' -f 1,2 /tmp/listed >/tmp/present
    lacks /tmp/promised /tmp/present >/tmp/missing
    { lacks /tmp/present /tmp/pushed; garbage </tmp/listed; } >/tmp/strange
    missing=$((missing + $(wc -l </tmp/missing)))
    strange=$((strange + $(wc -l </tmp/strange)))
    sed "s/^/missing after write $place: /" /tmp/missing
    sed "s/^/strange after write $place: /" /tmp/strange
}

# The daemon on the card as it is, with nothing in its runtime directory.
start_on_cut() {
    rm -rf /run/cut
    gatepost run --config /tmp/map.toml --runtime-dir /run/cut --state-dir /cut >/tmp/cut.log 2>&1 &
    daemon=$!
    wait_for 60 "the daemon starts after write $place" grep -q ' running' /tmp/cut.log
    { kill -9 "$daemon" && wait "$daemon"; } 2>/dev/null || true
}

# cut_everywhere TITLE: the power fails after each write.
cut_everywhere() {
    cp /tmp/fresh $image
    crash-points $log entries >/tmp/pushed
    : >/tmp/files
    places=0 missing=0 strange=0 promises=0 starts=0 before=0
    for place in $(crash-points $log writes); do
        crash-points $log replay "$before" "$place" $image >/tmp/had
        sed -n 's/^card //p' /tmp/had >/tmp/promised
        sed -n 's/^memory //p' /tmp/had >/tmp/unpromised
        cp $image $copy
        mount -t ext4 -o loop $copy /cut || fail "no mount after write $place"
        ls /cut/spool >>/tmp/files 2>/dev/null || true
        look 9999
        promises=$((promises + $(wc -l </tmp/promised)))
        unwritten=$((unwritten + $(lacks /tmp/unpromised /tmp/present | wc -l)))
        if [ $((places % 10)) = 0 ]; then
            now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
            start_on_cut
            look "$now"
            starts=$((starts + 1))
        fi
        umount /cut
        before=$place places=$((places + 1))
        [ $((places % 100)) != 0 ] || say "$1: $places crash points"
    done
    say "$1: crash points replayed: $places, with $(sort -u /tmp/files | wc -l) files of the spool;" \
        "the daemon started on $starts of them"
    say "$1: entries promised to be on the card, over all points: $promises, missing: $missing, garbage: $strange"
    [ "$missing$strange" = 00 ] || fail "$1: the card does not hold what it should"
    [ "$promises" -gt 0 ] || fail "$1: nothing was promised"
}

unwritten=0
dd if=$card of=/tmp/fresh bs=1M 2>/tmp/dd.log
logged_run 'durability = "always"'
cut_everywhere "at once"
logged_run 'write_after = "2s"\ngroup_every = "2s"\ngroup_entries = 4'
cut_everywhere "in groups"
# What was not promised is missed somewhere; else nothing was really cut off.
say "entries without a promise that a power cut cost, over all points: $unwritten"
[ "$unwritten" -gt 0 ] || fail "no power cut cost anything"
