# shellcheck shell=bash disable=SC2034
proves="cdev back end on gpio-sim: an edge in becomes an entry, a field update sets an output"
machine=amd64
modules=(configfs gpio-sim)
