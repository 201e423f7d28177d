# shellcheck shell=dash source=tests/proof/guest/guest.sh
# Drives the character-device back end on gpio-sim, the kernel's simulated GPIO chip: its lines are named as on a Pi, a
# pull from sysfs is the push of a button, and the value of an output reads back from sysfs.
. /proof/guest.sh

mount -t configfs configfs /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/pi
mkdir -p $chip/bank0/line17 $chip/bank0/line22
echo 54 >$chip/bank0/num_lines
echo GPIO17 >$chip/bank0/line17/name
echo GPIO22 >$chip/bank0/line22/name
echo 1 >$chip/live
lines=/sys/devices/platform/$(cat $chip/dev_name)/$(cat $chip/bank0/chip_name)
say "gpio-sim is $lines"
echo pull-up >"$lines/sim_gpio22/pull"
cat "$lines/sim_gpio22/value"
ls -la /bin/gatepost /dev/gpiochip*
gatepost --version
