#!/usr/bin/env bash
# Has OpenSSH's server write a real auth log: attempts of many kinds, each from an address of its own, told to rsyslog.
# attempts.sh FOLDER: the log is FOLDER/auth.log. Everything happens in a mount namespace of its own (root is needed), so that
# neither the machine's log socket nor its accounts are touched. Exit code 77: no such namespace can be made here.
set -eu
folder=$1
if [ -z "${DAYBOOK_INSIDE:-}" ]; then
  unshare -m true 2>/dev/null || exit 77
  exec env DAYBOOK_INSIDE=1 unshare -m bash "$0" "$folder"
fi

port=$((20000 + RANDOM % 12000))
mkdir -p "$folder/dev" /run/sshd
# The log socket: /dev anew, with what is needed of the old one.
mount --rbind /dev "$folder/dev"
mount -t tmpfs tmpfs /dev
for each in null zero random urandom tty ptmx; do touch "/dev/$each"; mount --bind "$folder/dev/$each" "/dev/$each" || true; done
mkdir /dev/pts /dev/shm
mount --rbind "$folder/dev/pts" /dev/pts
# Somebody with a password, for whom one is right.
cp /etc/passwd "$folder/passwd"
cp /etc/shadow "$folder/shadow"
cp /etc/hosts "$folder/hosts"
echo "walker:x:4711:65534::/nonexistent:/bin/true" >> "$folder/passwd"
echo "walker:$(openssl passwd -6 right-and-long):19000:0:99999:7:::" >> "$folder/shadow"
echo "127.0.0.31 10.9.8.7" >> "$folder/hosts"
# A refusal at once, not after two seconds.
sed 's/pam_unix.so nullok/pam_unix.so nullok nodelay/' /etc/pam.d/common-auth > "$folder/common-auth"
mount --bind "$folder/common-auth" /etc/pam.d/common-auth
for each in passwd shadow hosts; do mount --bind "$folder/$each" "/etc/$each"; done

cat > "$folder/rsyslog.conf" <<CONF
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
\$RepeatedMsgReduction on
\$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat
*.* $folder/auth.log
CONF
rsyslogd -n -f "$folder/rsyslog.conf" -i "$folder/rsyslog.pid" &
syslog=$!
ssh-keygen -q -t ed25519 -N '' -f "$folder/host"
ssh-keygen -q -t ed25519 -N '' -f "$folder/known"
ssh-keygen -q -t ed25519 -N '' -f "$folder/stranger"
cp "$folder/known.pub" "$folder/authorized"
for n in 1 2; do
  [ "$n" = 1 ] && level=INFO || level=VERBOSE
  cat > "$folder/sshd$n.conf" <<CONF
Port $((port + n))
ListenAddress 127.0.0.1
HostKey $folder/host
PidFile $folder/sshd$n.pid
AuthorizedKeysFile $folder/authorized
StrictModes no
UsePAM yes
UseDNS yes
LogLevel $level
KbdInteractiveAuthentication no
PermitRootLogin yes
DenyUsers daemon
MaxAuthTries 6
MaxStartups 200
LoginGraceTime 120
CONF
done
# until_so COMMAND...: tries it again and again, and fails when a minute was not enough.
until_so() {
  for _ in $(seq 1200); do "$@" && return; sleep 0.05; done
  echo "not within a minute: $*" >&2
  return 1
}
answers() { (: < "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
until_so test -S /dev/log
/usr/sbin/sshd -D -f "$folder/sshd1.conf" &
one=$!
/usr/sbin/sshd -D -f "$folder/sshd2.conf" &
two=$!
trap 'kill $one $two $syslog 2>/dev/null; wait 2>/dev/null' EXIT
for n in 1 2; do until_so answers $((port + n)); done

printf '#!/bin/sh\necho "$PASSWORD"\n' > "$folder/askpass"
chmod +x "$folder/askpass"
export SSH_ASKPASS="$folder/askpass" SSH_ASKPASS_REQUIRE=force
common=(-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=QUIET -o ConnectTimeout=60 -o IdentitiesOnly=yes -F none)
# password ADDRESS USER PASSWORD TRIES-IN-ONE-CONNECTION [SERVER]
password() {
  PASSWORD=$3 ssh "${common[@]}" -b "127.0.0.$1" -p $((port + ${5:-1})) -o PreferredAuthentications=password \
    -o NumberOfPasswordPrompts="$4" "$2@127.0.0.1" true < /dev/null > /dev/null 2>&1 || true
}
# key ADDRESS USER KEY [SERVER]
key() {
  ssh "${common[@]}" -b "127.0.0.$1" -p $((port + ${4:-1})) -o PreferredAuthentications=publickey -i "$folder/$3" \
    "$2@127.0.0.1" true < /dev/null > /dev/null 2>&1 || true
}

brute() { for _ in 1 2 3 4 5 6 7; do password 11 root guess 1; done; }
spray() { for user in admin test oracle git ubuntu postgres; do password 12 "$user" guess 1; done; }
clumsy() { password 13 walker wrong 1; password 13 walker wrong 1; password 13 walker right-and-long 1; }
repeated() { password 14 root guess 3; }
too_many() { password 15 walker guess 8; }
stranger() { for _ in 1 2 3 4 5 6; do key 16 root stranger; done; }
strange_names() { for user in nagios pi user ftp deploy jenkins; do key 17 "$user" stranger; done; }
denied() { for _ in 1 2 3 4 5 6; do password 18 daemon guess 1; done; }
four() { for _ in 1 2 3 4; do password 19 root guess 1; done; }
five() { for _ in 1 2 3 4 5; do password 20 root guess 1; done; }
verbose() { for _ in 1 2 3; do key 21 root stranger 2; password 21 root guess 1 2; done; }
verbose_names() { for user in a b c; do key 22 "$user" stranger 2; password 22 "$user" guess 1 2; done; }
welcome() { key 23 root known; key 23 walker known 2; password 23 walker right-and-long 1; }
odd_names() { password 24 'x from 127.0.0.99 port 22 ssh2' guess 1; password 24 'root from 127.0.0.99' guess 1; password 24 ' ' guess 1; }
mapped() { for _ in 1 2 3 4 5; do password 31 root guess 1; done; }
silent() {
  for _ in 1 2 3; do
    python3 - 127.0.0.25 $((port + 1)) "$1" <<'PY' || true
import socket, sys
s = socket.socket(); s.bind((sys.argv[1], 0)); s.connect(("127.0.0.1", int(sys.argv[2]))); s.settimeout(60)
s.sendall(sys.argv[3].encode())
try:
    s.recv(200); s.shutdown(socket.SHUT_WR); s.recv(200)
except OSError: pass
PY
  done
}
unmatched() {
  ssh "${common[@]}" -b 127.0.0.26 -p $((port + 1)) -o KexAlgorithms=diffie-hellman-group14-sha1 root@127.0.0.1 true < /dev/null > /dev/null 2>&1 || true
}

# Alone, so that syslog sees the same line again and again.
repeated
too_many
jobs=()
for each in brute spray clumsy stranger strange_names denied four five verbose verbose_names welcome odd_names mapped unmatched; do
  $each & jobs+=($!)
done
silent "" & jobs+=($!)
silent $'GET / HTTP/1.0\r\n\r\n' & jobs+=($!)
wait "${jobs[@]}"
# What serves a connection says its last word when who connected may have gone.
served() { ! pgrep -P "$one,$two" > /dev/null; }
until_so served
kill $one $two
wait $one $two 2>/dev/null || true
# The socket is a queue: what was said before this has been written when this has.
logger -u /dev/log -t attempts "that was all"
until_so grep -q "that was all" "$folder/auth.log"
kill $syslog
wait $syslog 2>/dev/null || true
trap - EXIT
