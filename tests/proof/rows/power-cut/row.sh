# shellcheck shell=bash disable=SC2034
proves="power cut at every write to the card's ext4: no entry that was on the card is missing, none is garbage"
machine=amd64
modules=(virtio_blk ext4 loop dm-log-writes)
packages=(dmsetup libdevmapper1.02.1 libpcre2-8-0 libselinux1 libudev1)
programs=(crash-points.rs)
# The card, and the log of all that was written to it.
disks=(ext4:8 blank:128)
seconds=1200
