# shellcheck shell=dash source=tests/proof/guest/service.sh
# The package's service on QEMU's Raspberry Pi 3: a sensor on its I2C bus, a pin by rppal, and a broker on the host by WebSocket
# and TLS. What the broker got is looked at on the host.
. /run/proof/service.sh

# GPLEV0, bit 17: the level of GPIO17, read past all drivers (BCM2835 ARM Peripherals, chapter 6; a Pi 3 has it at 0x3f200034).
level() {
    echo $((($(busybox devmem 0x3f200034) >> 17) & 1))
}

# Whether the daemon has seen more of its entries come back since `mark`, each with the number that the broker gave it.
more_stored() {
    [ "$(journalctl --quiet --output=cat --unit=gatepost --after-cursor="$cursor" | grep -c 'stored as')" -ge "$1" ]
}

say "this is a $(tr -d '\0' </proc/device-tree/model)"
install_package gatepost.deb
sandbox=/run/proof/sandbox
give_credentials
echo "10.0.2.2 broker.test" >>/etc/hosts
mkdir -p /run/systemd/network
printf '[Match]\nName=usb* eth*\n[Network]\nAddress=10.0.2.15/24\nLinkLocalAddressing=no\n' >/run/systemd/network/proof.network
systemctl start systemd-networkd
wait_for 120 "there is a network" sh -c 'ls /sys/class/net | grep -q -e usb -e eth'

modprobe i2c-bcm2835
modprobe lm75
wait_for 60 "there is an I2C bus" test -d /sys/bus/i2c/devices/i2c-1
echo lm75 0x48 >/sys/bus/i2c/devices/i2c-1/new_device
room=$(ls -d /sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input)
ask_qemu qom-set /machine/peripheral/thermometer temperature 21500
wait_for 30 "the kernel reads 21.5 degrees" prints 21500 cat "$room"

# A Pi's own kernel has /dev/gpiomem for rppal, which is for the group gpio; this one is Debian's and has only /dev/mem, which
# is for root. So the service is root here, and only here; all the rest of its unit stays.
mkdir -p /run/systemd/system/gatepost.service.d
printf '[Service]\nUser=root\nGroup=gatepost\nCapabilityBoundingSet=CAP_SYS_RAWIO\nDeviceAllow=/dev/mem rw\n' \
    >/run/systemd/system/gatepost.service.d/proof.conf
systemctl daemon-reload
write_map map.toml "s#/run/room#$room#"
prints 0 level || fail "the lamp is on before the service starts"
mark
systemctl restart gatepost || fail "the service does not start"
wait_for 10 "the lamp is on, says the register" prints 1 level
wait_for 120 "the link is up" told 'link up'
sleep 10
ask_qemu qom-set /machine/peripheral/thermometer temperature -12500
wait_for 30 "the kernel reads -12.5 degrees" prints -12500 cat "$room"
sleep 10

kill -9 "$(property MainPID)"
wait_for 4 "after kill -9 the lamp is at its stop level, before the service is back" prints 0 level
wait_for 60 "systemd has started it again: the lamp is on" prints 1 level
wait_for 120 "the link is up again" told 'link up'
systemctl stop gatepost
prints 0 level || fail "the lamp is not at its stop level"
say "after a stop the lamp is at its stop level: $(property Result)"
