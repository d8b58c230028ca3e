#!/bin/sh
# Makes this machine its owner's, by what the disk with the serial number "seed" says: name, user, keys, shares.
# What is there already stays.
set -eu

device=
for disk in /sys/block/vd*; do
    if [ "$(cat "$disk/serial" 2>/dev/null)" = seed ]; then device=/dev/${disk##*/}; fi
done
[ -n "$device" ] || exit 0
place=/run/suzerain/seed
mkdir -p "$place" /etc/suzerain
mount -t vfat -o ro,nodev,nosuid,noexec "$device" "$place"
trap 'umount "$place"' EXIT

host_name() {
    [ "$(cat /etc/hostname 2>/dev/null)" = "$1" ] || echo "$1" > /etc/hostname
    echo "$1" > /proc/sys/kernel/hostname
    grep -qw "$1" /etc/hosts || echo "127.0.1.1 $1" >> /etc/hosts
}

make_user() {
    owner=$1
    if ! id "$owner" > /dev/null 2>&1; then
        useradd --create-home --shell /bin/bash --user-group --groups sudo,adm ${2:+--uid "$2"} "$owner" ||
            useradd --create-home --shell /bin/bash --user-group --groups sudo,adm "$owner"
    fi
    echo "$owner" > /etc/suzerain/user
    if [ "$owner" != root ] && [ ! -e /etc/sudoers.d/suzerain ]; then
        (umask 337; echo "$owner ALL=(ALL:ALL) NOPASSWD: ALL" > /etc/sudoers.d/suzerain)
    fi
}

allow_key() {
    user=$1
    shift
    home=$(getent passwd "$user" | cut -d: -f6)
    keys=$home/.ssh/authorized_keys
    grep -qsxF "$1" "$keys" && return
    [ -n "$home" ] || return 0
    if [ ! -d "$home/.ssh" ]; then
        mkdir -m 700 "$home/.ssh"
        chown "$user:" "$home/.ssh"
    fi
    (umask 077; echo "$1" >> "$keys")
    chown "$user:" "$keys"
}

mount_share() {
    mkdir -p "$2"
    mountpoint -q "$2" || mount -t virtiofs "$1" "$2" || echo "share $1 can't be mounted at $2" >&2
}

while read -r word rest; do
    case $word in
        hostname) host_name "$rest" ;;
        # Without quotes: a name and perhaps a number.
        user) make_user $rest ;;
        key)
            allow_key "$owner" "$rest"
            [ "$owner" = root ] || allow_key root "$rest"
            ;;
        share) mount_share "${rest%% *}" "${rest#* }" ;;
    esac
done < "$place/suzerain"
