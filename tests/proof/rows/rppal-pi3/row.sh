# shellcheck shell=bash disable=SC2034
proves="rppal back end on an emulated Pi 3: a field update sets an output, read back and reported by the daemon"
machine=pi3
modules=()
seconds=300
