# shellcheck shell=dash source=tests/proof/guest/guest.sh
. /proof/guest.sh
tr -d '\0' </proc/device-tree/model
echo
ls -la /dev/gpio* /dev/mem
devmem 0x3f200034
gatepost --version
date
