#!/bin/bash
# run_rgw.sh start|stop|status DIR
# A real Ceph RGW to try the S3 store on: one mon, one osd (bluestore on a sparse file) and one radosgw, listening on
# 127.0.0.1 only, with everything they write in DIR. Not for data that matters: one copy, no authentication inside.
#
#   eval "$(tools/ceph_rgw/run_rgw.sh start /tmp/emberkeep-rgw)"    makes a user and a bucket, names them in variables
#   python3 tests-e2e/s3.py --binary target/debug/emberkeep         tries what those name, beside its other servers
#   tools/ceph_rgw/run_rgw.sh stop /tmp/emberkeep-rgw               the data stays; start takes it up again
#   rm -r /tmp/emberkeep-rgw
#
# Needs radosgw, ceph-mon, ceph-osd and curl (7.75 or later), but not root. On Debian 12 (which has Ceph 16.2):
#   apt-get install --no-install-recommends radosgw ceph-mon ceph-osd curl
# No mgr is run, so `ceph -s` knows nothing of what the pools hold; storing does not need it.
#
#   EMBERKEEP_RGW_PORT     [7480]            EMBERKEEP_RGW_MON_PORT [13300]    (the osd takes free ports from 16800 on)
#   EMBERKEEP_RGW_BUCKET   [emberkeep-test]  EMBERKEEP_RGW_SIZE     [10G] of the osd's file, at most; it is sparse
# These count when DIR is made; later starts keep what it was made with, but for the bucket.
set -euo pipefail

KEY=emberkeep
SECRET=emberkeep-secret
REGION=us-east-1
BUCKET=${EMBERKEEP_RGW_BUCKET:-emberkeep-test}
MARK="# made by run_rgw.sh"

say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { say "usage: $0 start|stop|status DIR"; exit 2; }

[ $# -eq 2 ] && [ -n "$2" ] || usage
D=$(realpath -m -- "$2")
CONF=$D/ceph.conf

pid_ours() { # FILE: its pid is alive and runs with our ceph.conf
  [ -s "$1" ] || return 1
  local p; p=$(tr -dc 0-9 <"$1")
  [ -n "$p" ] && [ -r "/proc/$p/cmdline" ] || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$p/cmdline" | grep -qxF -- "$CONF"
}
bg() { # NAME command...: run detached, with a pid file
  local n=$1; shift
  setsid "$@" >"$D/log/$n.out" 2>&1 </dev/null &
  echo $! >"$D/run/$n.pid"
}
end() { # NAME: asks it to end, and makes it after 30 seconds
  local f=$D/run/$1.pid p
  if pid_ours "$f"; then
    p=$(tr -dc 0-9 <"$f")
    kill -TERM "$p" 2>/dev/null || true
    for _ in $(seq 300); do pid_ours "$f" || break; sleep 0.1; done
    if pid_ours "$f"; then say "$1 does not end; killed"; kill -KILL "$p" 2>/dev/null || true; fi
  fi
  rm -f "$f"
}
wait_for() { # SECONDS NAME command...: until the command succeeds, while NAME runs
  local until=$((SECONDS + $1)) n=$2 left=$1; shift 2
  while ! "$@" >/dev/null 2>&1; do
    pid_ours "$D/run/$n.pid" || fail "$n ended" "$n"
    [ $SECONDS -lt $until ] || fail "$n is not ready after $left seconds" "$n"
    sleep 0.5
  done
}
fail() { # MESSAGE NAME
  say "$1; the last of its log ($D/log):"
  tail -n 8 "$D/log/$2.out" "$D/log/$2.log" >&2 2>/dev/null || true
  exit 1
}
tcp_up() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
ceph_() { timeout 30 ceph -c "$CONF" --connect-timeout 10 "$@"; }
osd_up() { ceph_ osd stat --format json | grep -q '"num_up_osds":1\b'; }
answers() { curl -s --noproxy '*' -o /dev/null --max-time 5 "http://127.0.0.1:$PORT/"; }
set_from_conf() { # what DIR was made with
  PORT=$(sed -n 's/^rgw frontends = .*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$CONF")
  MON=$(sed -n 's/^mon host = .*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$CONF")
  FSID=$(sed -n 's/^fsid = //p' "$CONF")
  [ -n "$PORT" ] && [ -n "$MON" ] && [ -n "$FSID" ] || die "$CONF is not whole; remove $D and start again"
}

make_conf() {
  if [ -e "$CONF" ]; then
    head -n 1 "$CONF" | grep -qxF -- "$MARK" || die "$CONF is not from this script; give another directory"
    return
  fi
  [ -z "$(ls -A "$D" 2>/dev/null)" ] || die "$D is not empty; give a new directory"
  # Paths of sockets must be short.
  [ ${#D} -le 80 ] || die "the path $D is too long for sockets; give one of at most 80 characters"
  case $D in *[!A-Za-z0-9/._-]*) die "$D has characters that ceph.conf would not take literally" ;; esac
  local size port mon
  size=$(numfmt --from=iec "${EMBERKEEP_RGW_SIZE:-10G}") || die "EMBERKEEP_RGW_SIZE is a size like 10G"
  port=${EMBERKEEP_RGW_PORT:-7480}
  mon=${EMBERKEEP_RGW_MON_PORT:-13300}
  tcp_up "$port" && die "something listens on port $port already; set EMBERKEEP_RGW_PORT"
  tcp_up "$mon" && die "something listens on port $mon already; set EMBERKEEP_RGW_MON_PORT"
  mkdir -p "$D"
  chmod 700 "$D"
  cat >"$CONF.new" <<CONF
$MARK
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = v2:127.0.0.1:$mon
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms bind port min = 16800
ms bind port max = 16900
auth cluster required = none
auth service required = none
auth client required = none
keyring = /dev/null
run dir = $D/run
crash dir = $D/crash
log file = $D/log/\$type.\$id.log
admin socket = $D/run/\$type.\$id.asok
ms async op threads = 1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0

[mon]
mon data = $D/mon
mon allow pool size one = true
mon cluster log file = $D/log/cluster.log

[osd]
osd data = $D/osd
osd objectstore = bluestore
bluestore block create = true
bluestore block size = $size
bluestore block db create = false
bluestore block wal create = false
osd memory target = 1G
osd op num shards = 2
osd op num threads per shard = 1

[client]
log file =
admin socket =

[client.rgw]
log file = $D/log/rgw.log
# radosgw wants an encrypted connection to the mon, which there is none of without authentication.
ms mon client mode = crc
rgw data = $D/rgw
rgw frontends = beast endpoint=127.0.0.1:$port
rgw thread pool size = 32
rgw rados pool pg num min = 1
rgw enable usage log = false
CONF
  mv "$CONF.new" "$CONF"
}

start_mon() {
  pid_ours "$D/run/mon.a.pid" && return
  tcp_up "$MON" && die "something else listens on port $MON, which $CONF names"
  if [ ! -e "$D/mon/.made" ]; then
    rm -rf "$D/mon"
    mkdir "$D/mon"
    {
      monmaptool --create --clobber --fsid "$FSID" --addv a "[v2:127.0.0.1:$MON]" "$D/monmap" &&
        timeout 60 ceph-mon -c "$CONF" --mkfs -i a --monmap "$D/monmap"
    } >"$D/log/mon.a.out" 2>&1 || fail "the mon cannot be made" mon.a
    touch "$D/mon/.made"
  fi
  bg mon.a ceph-mon -f -i a -c "$CONF"
  wait_for 60 mon.a ceph_ mon stat
}

start_osd() {
  pid_ours "$D/run/osd.0.pid" && return
  if [ ! -e "$D/osd/.made" ]; then
    local uuid; uuid=$(cat "$D/osd.uuid" 2>/dev/null || cat /proc/sys/kernel/random/uuid)
    rm -rf "$D/osd"
    mkdir "$D/osd"
    echo "$uuid" >"$D/osd.uuid"
    {
      [ "$(ceph_ osd new "$uuid" 0)" = 0 ] &&
        timeout 180 ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$uuid"
    } >"$D/log/osd.0.out" 2>&1 || fail "the osd cannot be made" osd.0
    touch "$D/osd/.made"
  fi
  bg osd.0 ceph-osd -f -i 0 -c "$CONF"
  wait_for 90 osd.0 osd_up
}

start_rgw() {
  pid_ours "$D/run/rgw.pid" && return
  tcp_up "$PORT" && die "something else listens on port $PORT, which $CONF names"
  mkdir -p "$D/rgw"
  bg rgw radosgw -f -n client.rgw -c "$CONF"
  # It makes its pools first.
  wait_for 180 rgw answers
}

make_user() {
  timeout 60 radosgw-admin -n client.rgw -c "$CONF" user info --uid=emberkeep >/dev/null 2>&1 && return
  timeout 60 radosgw-admin -n client.rgw -c "$CONF" user create --uid=emberkeep --display-name=Emberkeep \
    --access-key="$KEY" --secret-key="$SECRET" >"$D/log/user.out" 2>&1 || fail "the user cannot be made" user
}

make_bucket() {
  local code
  code=$(curl -s --noproxy '*' -o "$D/log/bucket.out" -w '%{http_code}' --max-time 60 --aws-sigv4 "aws:amz:$REGION:s3" \
    -u "$KEY:$SECRET" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X PUT "http://127.0.0.1:$PORT/$BUCKET") || true
  [ "$code" = 200 ] || fail "the bucket cannot be made (status $code)" bucket
}

stop() { local s; for s in rgw osd.0 mon.a; do end "$s"; done; }

start() {
  local c
  for c in ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin curl setsid; do
    command -v "$c" >/dev/null || die "no $c; see the head of $0 for what to install"
  done
  make_conf
  set_from_conf
  mkdir -p "$D"/{log,run,crash}
  trap 'say "stopping what was started"; stop' EXIT
  start_mon
  start_osd
  start_rgw
  make_user
  make_bucket
  trap - EXIT
  say "$(radosgw --version)"
  say "it listens at http://127.0.0.1:$PORT (logs in $D/log)"
  cat <<VARIABLES
export AWS_ENDPOINT_URL=http://127.0.0.1:$PORT
export AWS_ACCESS_KEY_ID=$KEY
export AWS_SECRET_ACCESS_KEY=$SECRET
export AWS_REGION=$REGION
export EMBERKEEP_TEST_BUCKET=$BUCKET
VARIABLES
}

case $1 in
  start) start ;;
  stop) stop; say "the RGW of $D is stopped" ;;
  status) for s in mon.a osd.0 rgw; do if pid_ours "$D/run/$s.pid"; then echo "$s up"; else echo "$s down"; fi; done ;;
  *) usage ;;
esac
