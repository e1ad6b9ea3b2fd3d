#!/bin/bash
# run_cinder.sh start|stop|status|wipe
# A real OpenStack Block Storage (cinder from PyPI) on loopback: api (uwsgi) + scheduler + volume
# (NFS driver on a bind-mounted local directory) + backup (posix driver), with its own MariaDB and
# RabbitMQ (both from Debian), authenticating against the Keystone of run_keystone.sh.
# Needs root (bind mount) and: setup_clients.sh all, setup_clients.sh cinder.
#
#   EK_CLIENTS     [/tmp/emberkeep-real-clients]     EK_KEYSTONE_DIR [/tmp/emberkeep-real-keystone]
#   EK_CINDER_DIR  [/tmp/emberkeep-real-cinder]      EK_KS_PORT      [5000]
#   EK_CINDER_PORT [8776]                EK_CINDER_SQL_PORT [13306]   EK_CINDER_MQ_PORT [5673]
# The Keystone catalog must point volumev3 at http://127.0.0.1:$EK_CINDER_PORT/v3/$(project_id)s
# (that is run_keystone.sh's default).
set -u
EK_CLIENTS=${EK_CLIENTS:-/tmp/emberkeep-real-clients}
KDIR=${EK_KEYSTONE_DIR:-/tmp/emberkeep-real-keystone}
KPORT=${EK_KS_PORT:-5000}
D=${EK_CINDER_DIR:-/tmp/emberkeep-real-cinder}
PORT=${EK_CINDER_PORT:-8776}
SQL=${EK_CINDER_SQL_PORT:-13306}
MQ=${EK_CINDER_MQ_PORT:-5673}
B=$EK_CLIENTS/cinder/bin
SHARE=127.0.0.1:/ekshare
HASH=$(printf %s "$SHARE" | md5sum | cut -d' ' -f1)
SVCS="cinder-api cinder-scheduler cinder-volume cinder-backup"

pid_ours() { # FILE: its pid is alive and its command line or environment names our directory
  [ -s "$1" ] || return 1
  local p; p=$(tr -dc 0-9 <"$1"); [ -n "$p" ] && [ -d "/proc/$p" ] || return 1
  tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "$D" && return 0
  tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -q "$D"
}
kids() { # PID: it and all that descend from it, children last
  echo "$1"; local c
  for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do kids "$c"; done
}
end_pid() { # FILE [SIGNAL]
  pid_ours "$1" || { rm -f "$1"; return; }
  local p all i; p=$(tr -dc 0-9 <"$1"); all=$(kids "$p")
  kill "-${2:-TERM}" "$p" 2>/dev/null
  for i in $(seq 100); do [ -d "/proc/$p" ] || break; sleep 0.1; done
  for i in $all; do [ -d "/proc/$i" ] && kill -KILL "$i" 2>/dev/null; done
  rm -f "$1"
}
tcp_up() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wait_tcp() { local i; for i in $(seq $(($2 * 2))); do tcp_up "$1" && return 0; sleep 0.5; done; return 1; }
bg() { # NAME command...: run detached, with a pid file
  local n=$1; shift
  setsid "$@" >"$D/log/$n.out" 2>&1 </dev/null &
  echo $! >"$D/run/$n.pid"
}

stop() {
  local s
  for s in cinder-backup cinder-volume cinder-scheduler; do end_pid "$D/run/$s.pid" TERM; done
  end_pid "$D/run/cinder-api.pid" INT
  end_pid "$D/run/rabbit.pid" TERM
  end_pid "$D/run/epmd.pid" TERM
  end_pid "$D/run/mariadb.pid" TERM
  mountpoint -q "$D/mnt/$HASH" 2>/dev/null && umount "$D/mnt/$HASH"
  echo "cinder stopped"
}

start() {
  [ -x "$B/cinder-volume" ] || { echo "no cinder venv; run setup_clients.sh cinder" >&2; return 1; }
  curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$KPORT/v3" || { echo "no keystone on $KPORT; run_keystone.sh start first" >&2; return 1; }
  mkdir -p "$D"/{log,run,mnt/$HASH,share,backups,state,conversion,shim,mq}
  chmod 755 "$D"
  # os-brick asks for root through sudo + rootwrap; we are root, so these stand-ins just run the command.
  printf '#!/bin/sh\nwhile :; do case "$1" in *cinder-rootwrap) shift 2;; -*) shift;; *) break;; esac; done\nexec "$@"\n' >"$D/shim/sudo"
  printf '#!/bin/sh\nexit 0\n' >"$D/shim/mount.nfs"
  chmod +x "$D"/shim/*
  mountpoint -q "$D/mnt/$HASH" || mount --bind "$D/share" "$D/mnt/$HASH" || { echo "bind mount refused" >&2; return 1; }

  # MariaDB
  if ! pid_ours "$D/run/mariadb.pid"; then
    if [ ! -d "$D/sql/mysql" ]; then
      mkdir -p "$D/sql"; chown mysql:mysql "$D/sql"
      timeout 120 mariadb-install-db --no-defaults --user=mysql --datadir="$D/sql" --auth-root-authentication-method=normal --skip-test-db >"$D/log/sql-install.log" 2>&1 \
        || { echo "mariadb-install-db failed; see $D/log/sql-install.log" >&2; return 1; }
    fi
    bg mariadb mariadbd --no-defaults --user=mysql --datadir="$D/sql" --bind-address=127.0.0.1 --port="$SQL" \
       --socket="$D/sql/s.sock" --pid-file="$D/sql/m.pid" --skip-name-resolve --innodb-flush-log-at-trx-commit=0 \
       --innodb-buffer-pool-size=64M --max-connections=200
    wait_tcp "$SQL" 60 || { echo "mariadb does not answer" >&2; return 1; }
    mariadb --no-defaults -h 127.0.0.1 -P "$SQL" -u root -e "CREATE DATABASE IF NOT EXISTS cinder CHARACTER SET utf8mb3; CREATE USER IF NOT EXISTS cinder@'127.0.0.1' IDENTIFIED BY 'cinder'; GRANT ALL ON cinder.* TO cinder@'127.0.0.1';" \
      || { echo "mariadb set-up failed" >&2; return 1; }
  fi

  # RabbitMQ, node and port mapper of its own
  if ! pid_ours "$D/run/rabbit.pid"; then
    export HOME=$D/mq ERL_EPMD_PORT=4371 ERL_EPMD_ADDRESS=127.0.0.1
    printf 'listeners.tcp.local = 127.0.0.1:%s\nloopback_users.guest = true\nlog.console = true\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 100MB\n' "$MQ" >"$D/mq/rabbitmq.conf"
    if ! tcp_up 4371; then bg epmd env EK_DIR="$D" epmd -address 127.0.0.1 -port 4371; sleep 1; fi
    bg rabbit env RABBITMQ_NODENAME=ekcinder@localhost RABBITMQ_CONFIG_FILE="$D/mq/rabbitmq.conf" RABBITMQ_MNESIA_BASE="$D/mq/db" \
       RABBITMQ_LOG_BASE="$D/log" RABBITMQ_DIST_PORT=25673 RABBITMQ_ENABLED_PLUGINS_FILE="$D/mq/plugins" RABBITMQ_PID_FILE="$D/mq/node.pid" \
       RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 1:1" \
       /usr/lib/rabbitmq/bin/rabbitmq-server
    wait_tcp "$MQ" 90 || { echo "rabbitmq does not answer; see $D/log/rabbit.out" >&2; return 1; }
  fi

  cat >"$D/cinder.conf" <<CONF
[DEFAULT]
debug = ${EK_CINDER_DEBUG:-false}
host = ekhost
my_ip = 127.0.0.1
state_path = $D/state
transport_url = rabbit://guest:guest@127.0.0.1:$MQ/
auth_strategy = keystone
api_paste_config = $EK_CLIENTS/cinder/etc/cinder/api-paste.ini
resource_query_filters_file = $EK_CLIENTS/cinder/etc/cinder/resource_filters.json
rootwrap_config = $EK_CLIENTS/cinder/etc/cinder/rootwrap.conf
image_conversion_dir = $D/conversion
enabled_backends = nfs1
volume_clear = none
backup_driver = cinder.backup.drivers.posix.PosixBackupDriver
backup_posix_path = $D/backups
backup_workers = 1
report_interval = 5
service_down_time = 60
osapi_volume_workers = 1
[nfs1]
volume_driver = cinder.volume.drivers.nfs.NfsDriver
volume_backend_name = nfs1
nas_host = 127.0.0.1
nas_share_path = /ekshare
nfs_mount_point_base = $D/mnt
nfs_snapshot_support = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
max_over_subscription_ratio = 50.0
[database]
connection = mysql+pymysql://cinder:cinder@127.0.0.1:$SQL/cinder?charset=utf8
[oslo_concurrency]
lock_path = $D/state/locks
[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:$KPORT/v3
auth_url = http://127.0.0.1:$KPORT/v3
auth_type = password
username = ekservice
password = secret-ekservice
user_domain_id = default
project_name = service
project_domain_id = default
token_cache_time = 300
service_token_roles_required = true
[privsep]
helper_command = $B/privsep-helper --config-file $D/cinder.conf
[cinder_sys_admin]
helper_command = $B/privsep-helper --config-file $D/cinder.conf
[privsep_osbrick]
helper_command = $B/privsep-helper --config-file $D/cinder.conf
CONF
  # oslo.limit and nova/glance are not used.
  if [ ! -e "$D/.synced" ]; then
    timeout 400 "$B/cinder-manage" --config-file "$D/cinder.conf" db sync >"$D/log/dbsync.log" 2>&1 || { echo "db sync failed:" >&2; tail -5 "$D/log/dbsync.log" >&2; return 1; }
    touch "$D/.synced"
  fi
  export PATH=$D/shim:$B:/usr/sbin:/usr/bin:/sbin:/bin PYTHONWARNINGS=ignore
  local s
  for s in scheduler volume backup; do
    pid_ours "$D/run/cinder-$s.pid" || bg cinder-$s "$B/cinder-$s" --config-file "$D/cinder.conf" --log-file "$D/log/cinder-$s.log"
  done
  if ! pid_ours "$D/run/cinder-api.pid"; then
    bg cinder-api "$B/uwsgi" --http-socket "127.0.0.1:$PORT" --module cinder.wsgi.api:application --master --die-on-term \
       --need-app --lazy-apps --processes 2 --threads 1 --enable-threads --buffer-size 65535 --post-buffering 65536 --socket-timeout 120 \
       --add-header "Connection: close" --pyargv "--config-file $D/cinder.conf --log-file $D/log/cinder-api.log"
  fi
  local ok=0 i
  for i in $(seq 120); do [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "http://127.0.0.1:$PORT/")" = 300 ] && { ok=1; break; }; sleep 1; done
  [ $ok = 1 ] || { echo "cinder-api does not answer; see $D/log" >&2; return 1; }
  # wait until scheduler, volume and backup report up
  local tok pid
  for i in $(seq 90); do
    tok=$(curl -s -i --max-time 10 -H 'Content-Type: application/json' -d '{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},"password":"secret-admin"}}},"scope":{"project":{"name":"admin","domain":{"id":"default"}}}}}' "http://127.0.0.1:$KPORT/v3/auth/tokens" | tr -d '\r' | sed -n 's/^X-Subject-Token: //Ip')
    [ "$(curl -s --max-time 10 -H "X-Auth-Token: $tok" "http://127.0.0.1:$PORT/v3/os-services" | grep -o '"state": "up"' | wc -l)" -ge 3 ] && break
    sleep 1
  done
  # the suites hold more than ten volumes at once
  curl -s -o /dev/null --max-time 20 -X PUT -H "X-Auth-Token: $tok" -H 'Content-Type: application/json' \
    -d '{"quota_class_set":{"volumes":100,"snapshots":100,"backups":100,"gigabytes":2000,"backup_gigabytes":2000}}' \
    "http://127.0.0.1:$PORT/v3/os-quota-class-sets/default"
  echo "cinder runs at http://127.0.0.1:$PORT/v3 (logs in $D/log)"
}

case "${1:-}" in
  start) start || { stop >/dev/null; exit 1; } ;;
  stop) stop ;;
  status) for s in mariadb rabbit $SVCS; do if pid_ours "$D/run/$s.pid"; then echo "$s up"; else echo "$s down"; fi; done ;;
  wipe) stop; mountpoint -q "$D/mnt/$HASH" 2>/dev/null || rm -rf "$D" ;;
  *) echo "usage: $0 start|stop|status|wipe" >&2; exit 2 ;;
esac
