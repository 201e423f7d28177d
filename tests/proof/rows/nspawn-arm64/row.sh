# shellcheck shell=bash disable=SC2034
proves="the arm64 package under systemd, through qemu-user: install, start, entry, reload, kill -9, remove, purge"
machine=container-arm64
seconds=600
