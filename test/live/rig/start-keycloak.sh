#!/usr/bin/env bash
# Starts one real Keycloak on 127.0.0.1 and leaves it running. Any number may run side by side: give each its own port and data folder.
#
#   start-keycloak.sh [PORT] [DATA_DIR]      port 8180 and a new temporary folder when left out
#
# The last line of stdout is `READY url=... pid=... version=... admin=... data=...`. Stop it with `kill PID` (the pid is Java's own).
# The administrator's password is new for every data folder and lies in DATA_DIR/admin-password (0600); it is never printed.
#   RIG_ADMIN_PASSWORD   this password instead of a new one
#   RIG_FEATURES         comma list of Keycloak features; each list has its own build
#   RIG_DURABLE=1        every commit reaches the disk, so kill -9 loses nothing (about 3.6 times slower)
#   RIG_CACHE            installation and caches, default ${XDG_CACHE_HOME:-$HOME/.cache}/mcp-idp-rig
set -euo pipefail
umask 077

version=26.7.4 # pinned: the Maven metadata names an older release as the newest
sha256=a286e98b4296d4e75ee88d8527c7cd463b307caa022f088c9f22cffccc741fa1
port=${1:-8180}
cache=${RIG_CACHE:-${XDG_CACHE_HOME:-${HOME:?neither HOME nor RIG_CACHE is set}/.cache}/mcp-idp-rig}
features=${RIG_FEATURES:-}
home=$cache/keycloak-$version${features:+-${features//,/+}}
template=$home/template
mkdir -p "$cache"
data=${2:-$(mktemp -d)}
mkdir -p "$data"

say() { echo "[keycloak] $*" >&2; }
fail() {
  say "$1"
  [ -z "${2:-}" ] || tail -n 20 "$2" >&2 || true
  exit 1
}
need() { # COMMAND DEBIAN_PACKAGE
  command -v "$1" >/dev/null && return
  command -v apt-get >/dev/null || fail "$1 is missing; install $2"
  say "installing $2, since $1 is missing"
  { apt-get install -y -q "$2" || { apt-get update -q && apt-get install -y -q "$2"; }; } </dev/null >&2 || fail "$2 cannot be installed"
}
new_password() { od -An -N18 -tx1 /dev/urandom | tr -d ' \n'; }

need curl curl
need pgrep procps
need flock util-linux
temurin=/usr/lib/jvm/temurin-25-jdk-amd64 # starts a third faster than 17, where the machine has it
if [ -z "${JAVA_HOME:-}" ] && [ -x "$temurin/bin/java" ]; then export JAVA_HOME=$temurin; fi
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
need "$java" openjdk-17-jre-headless
java_version=$("$java" -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')

# JAVA_OPTS is replaced, not appended to: kc.sh adds G1 to its own defaults, and two collectors do not start.
java_opts='-Xms64m -Xmx640m -XX:MetaspaceSize=96M -XX:MaxMetaspaceSize=320m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8'
if [ "$java_version" -ge 24 ]; then
  archive=$home/java$java_version.aot
  write_archive="-XX:AOTCacheOutput=$archive"
  use_archive="-XX:AOTCache=$archive"
else
  archive=$home/java$java_version.jsa
  quiet='-Xlog:cds=off -Xlog:cds+dynamic=off'
  write_archive="-XX:ArchiveClassesAtExit=$archive $quiet"
  use_archive="-XX:SharedArchiveFile=$archive $quiet"
fi

launch() { # DATA_DIR EXTRA_JAVA_OPTS LOG; sets pid
  local db="jdbc:h2:file:$1/keycloakdb;NON_KEYWORDS=VALUE${RIG_DURABLE:+;WRITE_DELAY=0}"
  # --cache=local counts at run time only; without it a start after kill -9 waits 20 s for a cluster that is not there.
  JAVA_OPTS="$java_opts $2" "$home/bin/kc.sh" start --optimized --cache=local --http-enabled=true --hostname-strict=false \
    --http-host=127.0.0.1 --http-port="$port" --db-url="$db" --log-level=warn >"$3" 2>&1 </dev/null 9>&- &
  local shell=$!
  for _ in $(seq 1 100); do
    pid=$(pgrep -P "$shell" java || true)
    [ -z "$pid" ] || return 0
    sleep 0.1
  done
  pid=$shell
}
await_ready() { # LOG
  for _ in $(seq 1 900); do
    kill -0 "$pid" 2>/dev/null || fail 'it ended before it was ready' "$1"
    [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 "http://127.0.0.1:$port/realms/master" || true)" != 200 ] || return 0
    sleep 0.2
  done
  kill "$pid"
  fail 'it was not ready within 180 s' "$1"
}
admin_token() { # PASSWORD; through stdin, since arguments can be read by others
  printf %s "$1" | curl -sS --fail -d client_id=admin-cli -d grant_type=password -d username=admin --data-urlencode password@- \
    "http://127.0.0.1:$port/realms/master/protocol/openid-connect/token" | sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p'
}
admin() { # TOKEN PATH CURL_ARGUMENTS...
  local token=$1 path=$2
  shift 2
  curl -sS --fail --config <(printf 'header = "Authorization: Bearer %s"\n' "$token") "$@" "http://127.0.0.1:$port/admin$path"
}

if curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$port/"; then fail "port $port is taken"; fi

exec 9>"$cache/lock"
flock 9
if [ ! -f "$home/.built" ]; then
  need mvn maven
  need unzip unzip # `jar xf` and Python lose the executable bits
  rm -rf "$home" "$cache/unpack"
  say "fetching keycloak-quarkus-dist $version"
  # A repository of our own: Maven finds its usual one through the user's account, not through HOME.
  # `get`, not `unpack`: that one leaves markers in the current folder and then silently skips the next time.
  (cd "$cache" && env -u JAVA_HOME mvn -B -q "-Dmaven.repo.local=$cache/maven" dependency:get \
    "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:zip" -Dtransitive=false </dev/null >&2) || fail 'Maven cannot fetch it'
  zip=$cache/maven/org/keycloak/keycloak-quarkus-dist/$version/keycloak-quarkus-dist-$version.zip
  echo "$sha256  $zip" | sha256sum -c --quiet >&2 || { rm -f "$zip"; fail 'the archive has another sha256 than the pinned one'; }
  mkdir "$cache/unpack"
  unzip -q "$zip" -d "$cache/unpack"
  mv "$cache/unpack/keycloak-$version" "$home"
  rm -rf "$cache/unpack" "$zip"
  say 'building'
  JAVA_OPTS=$java_opts "$home/bin/kc.sh" build --db=dev-file ${features:+--features="$features"} >"$home/build.log" 2>&1 </dev/null 9>&- ||
    fail 'kc.sh build failed' "$home/build.log"
  touch "$home/.built"
fi
if [ ! -f "$template/.done" ] || [ ! -f "$archive" ]; then
  say 'first start: schema, administrator, class archive'
  rm -rf "$template" "$archive"
  mkdir "$template"
  new_password >"$template/admin-password"
  KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=$(cat "$template/admin-password")
  export KC_BOOTSTRAP_ADMIN_USERNAME KC_BOOTSTRAP_ADMIN_PASSWORD
  launch "$template" "$write_archive" "$home/first.log"
  unset KC_BOOTSTRAP_ADMIN_USERNAME KC_BOOTSTRAP_ADMIN_PASSWORD
  await_ready "$home/first.log"
  admin_token "$(cat "$template/admin-password")" >/dev/null # so that the archive holds the classes of a login
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  for _ in $(seq 1 150); do # Java 25 writes its archive from a second process
    [ ! -s "$archive" ] || break
    sleep 0.2
  done
  touch "$template/.done"
fi
fresh=
if [ ! -f "$data/keycloakdb.mv.db" ]; then
  fresh=yes
  cp "$template/keycloakdb.mv.db" "$template/admin-password" "$data/"
fi
flock -u 9
exec 9>&-

launch "$data" "$([ ! -s "$archive" ] || echo "$use_archive")" "$data/keycloak.log"
await_ready "$data/keycloak.log"

stop_and_fail() {
  kill "$pid"
  fail "$1" "$data/keycloak.log"
}
token=$(admin_token "$(cat "$data/admin-password")") && [ -n "$token" ] || stop_and_fail 'the administrator cannot log in'
running=$(admin "$token" /serverinfo | sed -n 's/.*"systemInfo":{"version":"\([^"]*\)".*/\1/p') || stop_and_fail 'serverinfo does not answer'
if [ -n "$fresh" ]; then
  password=${RIG_ADMIN_PASSWORD:-$(new_password)}
  user=$(admin "$token" '/realms/master/users?username=admin&exact=true' | sed -n 's/^\[{"id":"\([^"]*\)".*/\1/p')
  printf '{"type":"password","temporary":false,"value":"%s"}' "$password" |
    admin "$token" "/realms/master/users/$user/reset-password" -X PUT -H 'Content-Type: application/json' -d @- || stop_and_fail 'no new password'
  printf %s "$password" >"$data/admin-password"
fi
[ "$running" = "$version" ] || stop_and_fail "the server calls itself ${running:-nothing}, not $version"
echo "READY url=http://127.0.0.1:$port pid=$pid version=$running admin=admin data=$data"
