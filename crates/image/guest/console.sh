#!/bin/sh
# A login on a console. The last console that the kernel was told of is the host's terminal, and belongs to whoever
# runs the machine: nobody is asked for a password there.
read -r active < /sys/class/tty/console/active
user=
if [ "${active##* }" = "$1" ]; then read -r user < /etc/suzerain/user; fi
# Terminals of today understand this one, and colours are worth having.
exec /sbin/agetty ${user:+--autologin "$user"} --noclear --keep-baud 115200,57600,38400,9600 "$1" xterm-256color
