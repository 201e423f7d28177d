# shellcheck shell=bash disable=SC2034
proves="the package under systemd: install, entry, reload, network gone and back, kill -9, watchdog, bad map, upgrade, remove, purge; nothing left"
machine=container-amd64
seconds=900
