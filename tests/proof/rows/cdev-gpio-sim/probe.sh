# shellcheck shell=dash source=tests/proof/guest/guest.sh
# Drives the character-device back end on gpio-sim, the kernel's simulated GPIO chip: a pull from sysfs is the push of a
# button, and the value of an output reads back from sysfs. The lines have a Pi's names at other places than on a Pi, so
# that they must be found by name. A second chip is named by its label.
. /proof/guest.sh

mount -t configfs configfs /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/house
mkdir -p $chip/bank0/line2 $chip/bank0/line5 $chip/bank0/line7
echo 8 >$chip/bank0/num_lines
echo GPIO22 >$chip/bank0/line2/name
echo GPIO27 >$chip/bank0/line5/name
echo GPIO17 >$chip/bank0/line7/name
mkdir -p $chip/bank1
echo 4 >$chip/bank1/num_lines
echo expander >$chip/bank1/label
echo 1 >$chip/live
lines=/sys/devices/platform/$(cat $chip/dev_name)/$(cat $chip/bank0/chip_name)
valve=/sys/devices/platform/$(cat $chip/dev_name)/$(cat $chip/bank1/chip_name)/sim_gpio2
door=$lines/sim_gpio2 rain=$lines/sim_gpio5 lamp=$lines/sim_gpio7

start_sandbox
start_daemon
prints pull-up cat "$door/pull" || fail "the map's bias did not reach the door's line"
prints 4 claimed_lines || fail "cdev does not hold the map's four lines"
prints 1 cat "$valve/value" || fail "the valve, on the chip called expander, is not on at the start"
prints 1 cat "$lamp/value" || fail "the lamp, which is on when low, is not off at the start"
wait_for 20 "stored: the door is closed" stored field1=0

echo pull-down >"$door/pull"
wait_for 20 "an edge in, stored: the door is open" stored field1=1
echo pull-up >"$door/pull"
wait_for 20 "an edge in, stored: the door is closed" stored field1=0

# How many pulses all stored entries hold together.
rained() {
    grep 'channel 1 stored' /tmp/sandbox.log | grep -o 'field2=[0-9]*' | awk -F = '{ sum += $2 } END { print sum }'
}
for _ in 1 2 3 4 5 6 7; do
    echo pull-down >"$rain/pull"
    sleep 0.1
    echo pull-up >"$rain/pull"
    sleep 0.1
done
wait_for 20 "seven pulses in, seven stored" prints 7 rained

send field1=1
wait_for 30 "an output out: the lamp is on" prints 0 cat "$lamp/value"
send field1=0
wait_for 30 "an output out: the lamp is off" prints 1 cat "$lamp/value"
send field2=0
wait_for 30 "an output of the chip called expander: the valve is off" prints 0 cat "$valve/value"

stop_daemon
