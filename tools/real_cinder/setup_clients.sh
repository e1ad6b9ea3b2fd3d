#!/bin/bash
# setup_clients.sh [VENV...]     idempotent; builds virtual environments of real clients and suites
#   keystone  Keystone + uwsgi                                       (default)
#   cinder    Block Storage itself + uwsgi; also apt-gets mariadb-server and rabbitmq-server (root)
#   all       everything
# EK_CLIENTS  where [/tmp/emberkeep-real-clients]     EK_PYTHON  interpreter [python3; 3.11 was used]
# Versions are pinned by the files in constraints/ beside this script.
set -u
HERE=$(dirname "$(readlink -f "$0")")
DIR=${EK_CLIENTS:-/tmp/emberkeep-real-clients}; PY=${EK_PYTHON:-python3}
[ $# -gt 0 ] || set -- keystone
[ "$1" = all ] && set -- keystone cinder
mkdir -p "$DIR"
want() {
  case $1 in
  keystone) echo keystone uwsgi ;;
  cinder) echo cinder uwsgi pymysql ;;
  *) return 1 ;;
  esac
}
rc=0
for v in "$@"; do
  pk=$(want "$v") || { echo "unknown: $v" >&2; exit 2; }
  c=$HERE/constraints/$v.txt
  sum=$( (echo "$pk"; cat "$c" 2>/dev/null) | sha256sum | cut -c1-16)
  if [ -e "$DIR/$v/.ready-$sum" ]; then echo "$v: ready"; continue; fi
  (
    flock -w 900 9 || { echo "$v: another set-up holds the lock" >&2; exit 1; }
    [ -e "$DIR/$v/.ready-$sum" ] && exit 0
    [ -x "$DIR/$v/bin/python" ] || "$PY" -m venv "$DIR/$v" || exit 1
    # shellcheck disable=SC2086
    timeout 1500 "$DIR/$v/bin/pip" install -q --disable-pip-version-check ${c:+-c "$c"} $pk >"$DIR/$v-pip.log" 2>&1 \
      || { echo "$v: pip failed:" >&2; tail -5 "$DIR/$v-pip.log" >&2; exit 1; }
    touch "$DIR/$v/.ready-$sum"
  ) 9>"$DIR/.lock-$v"
  if [ -e "$DIR/$v/.ready-$sum" ]; then echo "$v: ready"; else rc=1; fi
  if [ "$v" = cinder ] && ! { command -v mariadbd && [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; } >/dev/null 2>&1; then
    # installed without starting anything
    made=; if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; made=1; fi
    { apt-get -o DPkg::Lock::Timeout=300 update -qq
      DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends mariadb-server rabbitmq-server qemu-utils; } >"$DIR/apt.log" 2>&1 \
      || { echo "cinder: apt failed; see $DIR/apt.log" >&2; rc=1; }
    [ "$made" ] && rm -f /usr/sbin/policy-rc.d
  fi
done
exit $rc
