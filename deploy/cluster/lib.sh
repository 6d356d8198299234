# The whole picture on one machine without containers: HAProxy -> two nodes -> Redis -> PostgreSQL. Read by run.sh and
# prove.sh with `forewatt` set to the executable. Everything lies in a temporary folder and ends with the script.
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
chmod 711 "$folder" # PostgreSQL refuses to run as root: then its own user must reach its folder
nodes="1 2"
pids=

finish() {
    trap - EXIT INT TERM
    for node in $nodes; do stop_node "$node" KILL; done
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    [ ! -d "$folder/postgres" ] || as_postgres "$postgres_bin/pg_ctl" -D "$folder/postgres" -m immediate -w stop > /dev/null 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

need() { command -v "$1" > /dev/null || { echo "$1 is missing: apt-get install $2" >&2; exit 1; }; }

# Ports that nobody uses now, all different.
free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PY
}

# Waits, at most a minute, until a command succeeds.
until_good() {
    what=$1; shift
    for _ in $(seq 300); do
        ! "$@" > /dev/null 2>&1 || return 0
        sleep 0.2
    done
    echo "$what did not become ready; its last lines:" >&2
    tail -n 20 "$folder"/*.log >&2
    exit 1
}

as_postgres() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start_postgres() {
    postgres_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    postgres_bin=${POSTGRES_BIN:-$postgres_bin}
    [ -x "$postgres_bin/initdb" ] || { echo "initdb is missing: apt-get install postgresql, or set POSTGRES_BIN" >&2; exit 1; }
    mkdir "$folder/postgres"
    [ "$(id -u)" != 0 ] || chown postgres "$folder/postgres"
    (cd / && as_postgres "$postgres_bin/initdb" -D "$folder/postgres" -U forewatt -A trust -E UTF8 --locale=C > "$folder/postgres.log" 2>&1)
    (cd / && exec_as_postgres "$postgres_bin/postgres" -D "$folder/postgres" -p "$postgres_port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200) >> "$folder/postgres.log" 2>&1 &
    pids="$pids $!"
    until_good PostgreSQL "$postgres_bin/pg_isready" -h 127.0.0.1 -p "$postgres_port" -U forewatt
    "$postgres_bin/createdb" -h 127.0.0.1 -p "$postgres_port" -U forewatt forewatt
}

# Takes the place of the shell, so that its number is the server's.
exec_as_postgres() {
    if [ "$(id -u)" = 0 ]; then exec setpriv --reuid postgres --regid postgres --clear-groups "$@"; else exec "$@"; fi
}

start_redis() {
    redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$folder" \
        --maxmemory 256mb --maxmemory-policy allkeys-lru > "$folder/redis.log" 2>&1 &
    pids="$pids $!"
    until_good Redis redis-cli -p "$redis_port" ping
}

start_haproxy() {
    FOREWATT_LISTEN="127.0.0.1:$port" FOREWATT_NODE_1="127.0.0.1:$node_1_port" \
        FOREWATT_NODE_2="127.0.0.1:$node_2_port" FOREWATT_STATS="127.0.0.1:$stats_port" \
        haproxy -db -f "$here/../compose/haproxy.cfg" > "$folder/haproxy.log" 2>&1 &
    pids="$pids $!"
}

node_port() { eval "echo \$node_$1_port"; }

# Starts a node of this number and waits until it is ready.
start_node() {
    FOREWATT_SERVER__LISTEN="127.0.0.1:$(node_port "$1")" "$forewatt" -q serve >> "$folder/node$1.log" 2>&1 &
    eval "node_$1_pid=$!"
    until_good "node $1" curl -sf "http://127.0.0.1:$(node_port "$1")/health/ready"
}

# Sends a signal (TERM, KILL) to a node and waits until it has ended.
stop_node() {
    eval "pid=\${node_$1_pid:-}"
    [ -n "$pid" ] || return 0
    kill "-$2" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    eval "node_$1_pid="
}

# What the nodes are told, by the environment: commands of this script (import, train) too.
configure() {
    export FOREWATT_STORE__URL="postgres://forewatt@127.0.0.1:$postgres_port/forewatt"
    export FOREWATT_STORE__DATA_DIR="$folder/artifacts"
    export FOREWATT_STORE__MIN_CONNECTIONS="${FOREWATT_STORE__MIN_CONNECTIONS:-5}"
    export FOREWATT_STORE__MAX_CONNECTIONS="${FOREWATT_STORE__MAX_CONNECTIONS:-50}"
    export FOREWATT_CACHE__REDIS_URL="redis://127.0.0.1:$redis_port/0"
    # Four times what HAProxy takes to notice (two looks, 250 to 500 ms apart).
    export FOREWATT_SERVER__DRAIN_MS="${FOREWATT_SERVER__DRAIN_MS:-3000}"
}

start_all() {
    need haproxy haproxy; need redis-server redis-server; need redis-cli redis-tools; need curl curl; need python3 python3
    read -r port stats_port postgres_port redis_port node_1_port node_2_port <<PORTS
$(free_ports 6)
PORTS
    url="http://127.0.0.1:$port"
    cd "$folder"
    configure
    start_postgres
    start_redis
    for node in $nodes; do start_node "$node"; done
    start_haproxy
    until_good HAProxy curl -sf "$url/health/ready"
}
