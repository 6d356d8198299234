#!/bin/sh
# Shows with a real Varnish that forecasts are kept (HIT), answered while stale (STALE), purged by key when their data
# change, and answered while the server is away.
#
#   deploy/cdn/prove.sh target/debug/forewatt
#
# Needs varnishd, curl and awk. Uses two ports of this computer, and ends what it starts.
set -eu

forewatt=$(realpath "${1:?which forewatt? deploy/cdn/prove.sh target/debug/forewatt}")
vcl=$(realpath "$(dirname "$0")/forewatt.vcl")
server_port=${SERVER_PORT:-18480}
cache_port=${CACHE_PORT:-18481}
folder=$(mktemp -d)
server= ; cache=
finish() {
    [ -z "$cache" ] || kill "$cache" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

cat > forewatt.toml <<TOML
[server]
listen = "127.0.0.1:$server_port"
[forecast]
fixed_now = "2026-02-10T00:00:00Z"
[outward]
allow_networks = ["127.0.0.1"]
[outward.cdn]
client_max_age_s = 1
client_stale_while_revalidate_s = 5
max_age_s = 2
stale_while_revalidate_s = 30
stale_if_error_s = 600
purge_urls = ["http://127.0.0.1:$cache_port/"]
TOML
awk 'BEGIN { print "time,mw,c"; for (h = 0; h < 40 * 24; h++) { d = int(h / 24);
    printf "2026-%02d-%02dT%02d:00:00Z,%.1f,%.1f\n", d < 31 ? 1 : 2, d < 31 ? d + 1 : d - 30, h % 24,
    50 + 10 * sin(h % 24 / 3.82) + h % 7, 10 + 5 * sin(h % 24 / 3.82) } }' > load.csv
"$forewatt" -q import load.csv --columns mw=city.load,c=city.warm --time time --time-zone UTC --kind load > /dev/null
"$forewatt" -q train city.load --model linear --past-only city.warm --backtest-days 7 --horizon 24h > /dev/null
"$forewatt" -q serve > server.log 2>&1 &
server=$!
sed -e "s/8080/$server_port/" "$vcl" > here.vcl
varnishd -F -n "$folder/varnish" -a "127.0.0.1:$cache_port" -f "$folder/here.vcl" -s malloc,32m -j none > varnish.log 2>&1 &
cache=$!

url="http://127.0.0.1:$cache_port/v1/series/city.load/forecast"
ask() { curl -s -o /dev/null -D - "$url" | tr -d '\r'; }
x_cache() { ask | awk 'tolower($1) == "x-cache:" { print $2 }'; }
# Asks until the cache says this word, at most ten seconds.
until_says() {
    for _ in $(seq 100); do
        [ "$(x_cache)" != "$1" ] || { echo "$2: $1"; return 0; }
        sleep 0.1
    done
    echo "$2: never $1"; cat varnish.log server.log; exit 1
}
write() {
    curl -s -o /dev/null -X POST -H 'content-type: application/json' --data \
        "{\"observations\": [{\"valid_time\": \"2026-02-09T$2:00:00Z\", \"available_at\": \"2026-02-09T23:5$3:00Z\", \"value\": 99}]}" \
        "http://127.0.0.1:$server_port/v1/series/$1/observations"
}

for _ in $(seq 100); do curl -sf "http://127.0.0.1:$cache_port/health/ready" > /dev/null && break || sleep 0.1; done
until_says MISS "first asked"
until_says HIT "asked again"
until_says STALE "two seconds later, while it asks again"
until_says HIT "asked again in the background, and kept"
# An answer that is only old would be STALE: a MISS says that it was forgotten.
write city.load 20 1
until_says MISS "new data, purged by key"
sleep 1.5 # the second purge, a second later, is over
until_says HIT "kept again"
write city.warm 21 2
until_says MISS "new data of a covariate, purged by key"
refused=$(curl -s -o /dev/null -w '%{http_code}' -X PURGE -H 'Surrogate-Key: .*)|(' "http://127.0.0.1:$cache_port/")
[ "$refused" = 400 ] && echo "a key that is an expression: 400" || { echo "a key that is an expression: $refused"; exit 1; }
sleep 1.5
until_says HIT "kept again"
kill "$server"; wait "$server" 2>/dev/null || true; server=
until_says STALE "the server is gone"
echo "all shown"
