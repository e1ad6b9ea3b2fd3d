#!/bin/bash
# run_keystone.sh start|stop|status|wipe
# A real OpenStack Keystone (PyPI) with SQLite, on loopback only.
#
#   EK_CLIENTS       where setup_clients.sh put its venvs      [/tmp/emberkeep-real-clients]
#   EK_KEYSTONE_DIR  state: db, keys, pid, log, *.rc files      [/tmp/emberkeep-real-keystone]
#   EK_KS_PORT       port on 127.0.0.1                          [5000]
#   EK_VOLUME_URL    catalog URL of volumev3 (block-storage)    [http://127.0.0.1:8776/v3/$(project_id)s]
#   EK_CBR_URL       catalog URL of cbr                         [http://127.0.0.1:8776/v3/$(project_id)s]
#   EK_KS_EXPIRY     token lifetime in seconds                  [3600]
#   EK_KS_WORKERS    uwsgi processes                            [2]
#
# Makes: projects admin, service, alpha, beta; users admin (admin on admin+alpha+beta),
# alice and dave (member on alpha), bob (member on beta), carol (reader on alpha),
# ekservice (role service on project service: the user a server validates tokens with).
# All passwords are "secret-<user>".  Writes admin.rc alice.rc bob.rc carol.rc
# ekservice.rc, clouds.yaml and ids.env into the state directory.
set -u
EK_CLIENTS=${EK_CLIENTS:-/tmp/emberkeep-real-clients}
DIR=${EK_KEYSTONE_DIR:-/tmp/emberkeep-real-keystone}
PORT=${EK_KS_PORT:-5000}
VURL=${EK_VOLUME_URL:-'http://127.0.0.1:8776/v3/$(project_id)s'}
CURL_=${EK_CBR_URL:-'http://127.0.0.1:8776/v3/$(project_id)s'}
EXP=${EK_KS_EXPIRY:-3600}
WORKERS=${EK_KS_WORKERS:-2}
KB=$EK_CLIENTS/keystone/bin
URL=http://127.0.0.1:$PORT/v3
PIDF=$DIR/uwsgi.pid

alive() { # pid file names a live process that is our uwsgi
  [ -s "$PIDF" ] || return 1
  local p; p=$(cat "$PIDF" 2>/dev/null) || return 1
  [ -d "/proc/$p" ] && tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "$DIR"
}
answers() { curl -s -o /dev/null --max-time 5 "$URL"; }

stop() {
  if alive; then
    local p; p=$(cat "$PIDF")
    kill -INT "$p" 2>/dev/null           # uwsgi master: stop all its workers
    for _ in $(seq 50); do [ -d "/proc/$p" ] || break; sleep 0.1; done
    if [ -d "/proc/$p" ]; then
      for c in $(cat /proc/"$p"/task/"$p"/children 2>/dev/null) "$p"; do kill -KILL "$c" 2>/dev/null; done
    fi
    echo "keystone stopped"
  else
    echo "keystone was not running"
  fi
  rm -f "$PIDF"
}

start() {
  if alive && answers; then
    echo "keystone already runs at $URL"
  else
    [ -x "$KB/uwsgi" ] || { echo "no keystone venv; run setup_clients.sh keystone" >&2; return 1; }
    if answers; then echo "something else answers on port $PORT" >&2; return 1; fi
    mkdir -p "$DIR"; chmod 700 "$DIR"
    local fresh=0
    cat >"$DIR/keystone.conf" <<CONF
[DEFAULT]
debug = false
log_file = $DIR/keystone.log
[database]
connection = sqlite:///$DIR/keystone.db
[token]
provider = fernet
expiration = $EXP
[fernet_tokens]
key_repository = $DIR/fernet
[credential]
key_repository = $DIR/credential
[cache]
enabled = false
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
CONF
    if [ ! -e "$DIR/.bootstrapped" ]; then
      fresh=1
      rm -rf "$DIR/keystone.db" "$DIR/fernet" "$DIR/credential"
      local u g; u=$(id -un); g=$(id -gn)
      { timeout 180 "$KB/keystone-manage" --config-file "$DIR/keystone.conf" db_sync &&
        timeout 60 "$KB/keystone-manage" --config-file "$DIR/keystone.conf" fernet_setup --keystone-user "$u" --keystone-group "$g" &&
        timeout 60 "$KB/keystone-manage" --config-file "$DIR/keystone.conf" credential_setup --keystone-user "$u" --keystone-group "$g" &&
        timeout 60 "$KB/keystone-manage" --config-file "$DIR/keystone.conf" bootstrap \
           --bootstrap-password secret-admin --bootstrap-username admin --bootstrap-project-name admin \
           --bootstrap-role-name admin --bootstrap-service-name keystone --bootstrap-region-id RegionOne \
           --bootstrap-public-url "$URL" --bootstrap-internal-url "$URL" --bootstrap-admin-url "$URL"
      } >"$DIR/setup.log" 2>&1 || { echo "keystone set-up failed:" >&2; tail -15 "$DIR/setup.log" >&2; return 1; }
      touch "$DIR/.bootstrapped"
    fi
    OS_KEYSTONE_CONFIG_FILES=$DIR/keystone.conf \
    "$KB/uwsgi" --http-socket "127.0.0.1:$PORT" --module keystone.wsgi.api:application \
        --master --die-on-term --need-app --processes "$WORKERS" --threads 1 --buffer-size 65535 \
        --lazy-apps --add-header "Connection: close" --post-buffering 65536 --socket-timeout 120 --pidfile "$PIDF" --daemonize "$DIR/uwsgi.log" >/dev/null 2>&1 </dev/null
    local ok=0
    for _ in $(seq 120); do answers && { ok=1; break; }; sleep 0.5; done
    [ $ok = 1 ] || { echo "keystone does not answer; see $DIR/uwsgi.log" >&2; tail -5 "$DIR/uwsgi.log" >&2; return 1; }
  fi
  # (Re)write what the catalog and the accounts must be; cheap and idempotent.
  EK_URL=$URL EK_V=$VURL EK_C=$CURL_ EK_DIR=$DIR timeout 120 "$KB/python" - <<'PY' || return 1
import os, json, requests
U=os.environ['EK_URL']; D=os.environ['EK_DIR']
s=requests.Session(); s.trust_env=False
def auth(user,pw,proj):
    return {"auth":{"identity":{"methods":["password"],"password":{"user":{"name":user,"domain":{"id":"default"},"password":pw}}},
            "scope":{"project":{"name":proj,"domain":{"id":"default"}}}}}
r=s.post(U+'/auth/tokens',json=auth('admin','secret-admin','admin')); r.raise_for_status()
s.headers['X-Auth-Token']=r.headers['X-Subject-Token']
def get(p): 
    r=s.get(U+p); r.raise_for_status(); return r.json()
def post(p,b):
    r=s.post(U+p,json=b); r.raise_for_status(); return r.json()
def ensure(coll,one,name,body):
    for x in get('/%s?name=%s'%(coll,name))[coll]:
        if x['name']==name: return x['id']
    return post('/'+coll,{one:dict(body,name=name)})[one]['id']
ids={}
for p in ('admin','service','alpha','beta'):
    ids['PROJECT_'+p]=ensure('projects','project',p,{'domain_id':'default'})
roles={r['name']:r['id'] for r in get('/roles')['roles']}
for r in ('admin','manager','member','reader','service'):
    if r not in roles: roles[r]=post('/roles',{'role':{'name':r}})['role']['id']
for u in ('admin','alice','bob','carol','dave','ekservice'):
    ids['USER_'+u]=ensure('users','user',u,{'domain_id':'default','password':'secret-'+u,'email':u+'@example.test'})
for u,p,r in (('admin','admin','admin'),('admin','alpha','admin'),('admin','beta','admin'),
              ('alice','alpha','member'),('bob','beta','member'),('carol','alpha','reader'),('dave','alpha','member'),
              ('ekservice','service','service')):
    q=s.put(U+'/projects/%s/users/%s/roles/%s'%(ids['PROJECT_'+p],ids['USER_'+u],roles[r])); q.raise_for_status()
svc={x['type']:x['id'] for x in get('/services')['services']}
eps=get('/endpoints')['endpoints']
for typ,name,url in (('volumev3','cinderv3',os.environ['EK_V']),('block-storage','cinder',os.environ['EK_V']),('cbr','cbr',os.environ['EK_C'])):
    if typ not in svc: svc[typ]=post('/services',{'service':{'type':typ,'name':name,'enabled':True}})['service']['id']
    for i in ('public','internal','admin'):
        e=[x for x in eps if x['service_id']==svc[typ] and x['interface']==i]
        if e:
            if e[0]['url']!=url:
                q=s.patch(U+'/endpoints/'+e[0]['id'],json={'endpoint':{'url':url}}); q.raise_for_status()
        else:
            post('/endpoints',{'endpoint':{'service_id':svc[typ],'interface':i,'url':url,'region_id':'RegionOne'}})
home={'admin':'admin','alice':'alpha','bob':'beta','carol':'alpha','dave':'alpha','ekservice':'service'}
clouds=[]
for u,p in home.items():
    e={'OS_AUTH_URL':U,'OS_USERNAME':u,'OS_PASSWORD':'secret-'+u,'OS_PROJECT_NAME':p,'OS_USER_DOMAIN_ID':'default',
       'OS_PROJECT_DOMAIN_ID':'default','OS_IDENTITY_API_VERSION':'3','OS_REGION_NAME':'RegionOne','OS_INTERFACE':'public','OS_ENDPOINT_TYPE':'publicURL'}
    open('%s/%s.rc'%(D,u),'w').write(''.join('export %s=%s\n'%kv for kv in e.items()))
    clouds.append(f"""  ek-{u}:
    auth:
      auth_url: {U}
      username: {u}
      password: secret-{u}
      project_name: {p}
      user_domain_id: default
      project_domain_id: default
    region_name: RegionOne
    identity_api_version: "3"
""")
open(D+'/clouds.yaml','w').write('clouds:\n'+''.join(clouds))
open(D+'/ids.env','w').write(''.join('%s=%s\n'%kv for kv in ids.items()))
PY
  echo "keystone runs at $URL (pid $(cat "$PIDF")); files in $DIR"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  status) if alive && answers; then echo "running at $URL"; else echo "not running"; exit 3; fi ;;
  wipe) stop; rm -rf "$DIR" ;;
  *) echo "usage: $0 start|stop|status|wipe" >&2; exit 2 ;;
esac
