# Runs inside of the new system, as its root, when all packages are installed.
set -eu
systemctl -q enable suzerain-seed.service suzerain-host-keys.service systemd-networkd.service systemd-resolved.service \
    fstrim.timer
# A machine that starts has to do with its own work alone.
systemctl -q disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    getty@tty1.service systemd-networkd-wait-online.service systemd-pstore.service 2> /dev/null || true
if [ ! -e /usr/lib/systemd/system-generators/systemd-ssh-generator ]; then
    systemctl -q enable suzerain-ssh.socket
else
    rm /etc/systemd/system/suzerain-ssh.socket /etc/systemd/system/suzerain-ssh@.service
fi
# What has to be each machine's own is made at its first start.
rm -f /etc/ssh/ssh_host_* /etc/apt/apt.conf.d/99mmdebstrap /etc/hostname /var/lib/dbus/machine-id /var/lib/systemd/random-seed
: > /etc/machine-id
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
# A key that is the host's alone does not lead to anything here.
for file in /etc/apt/sources.list.d/*; do
    key=$(sed -n 's/^Signed-By: *//p' "$file" | head -n 1)
    case $key in /*) [ -e "$key" ] || sed -i '/^Signed-By:/d' "$file" ;; esac
done
# /tmp is not ours: mmdebstrap keeps the configuration of its own apt there.
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
    /var/log/bootstrap.log /var/cache/debconf/*-old /var/lib/dpkg/*-old
