# shellcheck shell=dash source=tests/proof/guest/guest.sh
# Drives the rppal back end on QEMU's Raspberry Pi 3. QEMU's controller cannot be given an input, so the row sets an output and
# compares two witnesses: the daemon, which reads the pin and reports it to its channel, and the controller's own
# registers, read here past all drivers (BCM2835 ARM Peripherals, chapter 6; a Pi 3 has them at 0x3f200000).
. /proof/guest.sh

# GPLEV0, bit 17: the level of GPIO17.
level() {
    echo $((($(devmem 0x3f200034) >> 17) & 1))
}

# GPFSEL1, bits 21 to 23: what GPIO17 is; 1 is an output.
function_of_pin() {
    echo $((($(devmem 0x3f200004) >> 21) & 7))
}

say "this is a $(tr -d '\0' </proc/device-tree/model)"
prints 0 function_of_pin || fail "GPIO17 is not an input before the daemon starts"
start_sandbox
start_daemon
prints 1 function_of_pin || fail "the pin is no output"
prints 0 claimed_lines || fail "the pin is held by cdev, not by rppal"
wait_for 30 "off: the daemon's report is stored" stored field1=0
prints 0 level || fail "the pin is on at the start"

send field1=1
wait_for 30 "on: the register says so" prints 1 level
wait_for 30 "on: the daemon's report is stored" stored field1=1
send field1=0
wait_for 30 "off: the register says so" prints 0 level
wait_for 30 "off: the daemon's report is stored" stored field1=0

send field1=1
wait_for 30 "on again" prints 1 level
kill -9 "$daemon"
wait "$daemon" || true
prints 1 level || fail "the pin did not stay as it was after a crash"
say "after a crash the pin stays as it was"
start_daemon
prints 0 level || fail "the pin is not at its start level"

send field1=1
wait_for 30 "on once more" prints 1 level
stop_daemon
prints 0 level || fail "the pin is not at its stop level"
say "after a stop the pin is at its stop level"
