# shellcheck shell=bash disable=SC2034,SC2054,SC2154 # The commas are QEMU's.
proves="the service as its own user on a real kernel: GPIO, 1-Wire, serial, USB serial plugged in later, time, read-only root"
machine=amd64-debian
modules=(configfs gpio-sim w1_therm w1-fake)
programs=(time-server.rs ../no-clock/keep-clock.rs)
# A battery clock that lost its power. Two serial ports, ttyS1 and a USB one that is not plugged in yet, each with its other end
# at a further port of the same machine, where the probe plays the device.
options=(-rtc "base=2001-01-01T00:00:00"
    -device pci-serial-2x,chardev1=near,chardev2=far
    -chardev "socket,id=near,path=$cache/near.socket,server=on,wait=off" -chardev "socket,id=port,path=$cache/near.socket"
    -chardev "socket,id=far,path=$cache/far.socket,server=on,wait=off" -chardev "socket,id=usb,path=$cache/far.socket"
    -device isa-serial,chardev=port,index=1 -device qemu-xhci,id=usb-bus)
clock="unset"
# For the second boot, whose root is read-only: the state directory.
disks=(ext4:16)
boots=2
read_only_boot=2
seconds=600
