#!/bin/sh
# Shows what clients see while nodes of the cluster are restarted one after the other, while one is killed, and how often
# a forecast is computed that 1,000 clients ask for at the same moment.
#
#   deploy/cluster/prove.sh target/release/forewatt
#
# RATE (requests a second, 200) and SECONDS_EACH (30) may be set. Ends with 1 when a rolling restart loses a request, a
# kill loses 0.1 % or more, or the cold key is computed more than once.
set -eu
forewatt=$(realpath "${1:?which forewatt? deploy/cluster/prove.sh target/release/forewatt}")
rate=${RATE:-200}; seconds=${SECONDS_EACH:-30}
. "$(dirname "$0")/lib.sh"
export FOREWATT_FORECAST__FIXED_NOW="2026-02-10T00:00:00Z"
start_all
good=yes

python3 - > load.csv <<'PY'
import math
print("time,a,b,c,d")
for h in range(40 * 24):
    day = h // 24
    date = f"2026-01-{day + 1:02}" if day < 31 else f"2026-02-{day - 30:02}"
    values = [50 + 10 * math.sin(h % 24 / 3.82 + k) + (h * (k + 3)) % 7 for k in range(4)]
    print(f"{date}T{h % 24:02}:00:00Z," + ",".join(f"{v:.2f}" for v in values))
PY
"$forewatt" -q import load.csv --columns a=a,b=b,c=c,d=d --time time --time-zone UTC --kind load > /dev/null
for series in a b c d; do
    "$forewatt" -q train "$series" --model linear --backtest-days 7 --horizon 24h > /dev/null
done

# The sum over both nodes of a counter.
count() {
    for node in $nodes; do curl -s "http://127.0.0.1:$(node_port "$node")/metrics"; done |
        awk -v name="$1" 'index($1, name) == 1 { sum += $2 } END { print sum + 0 }'
}
steady() { python3 "$here/load.py" "$url" steady "$rate" "$seconds"; }
field() { python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$1" "$2"; }
# Runs a phase under load: its name, the errors allowed in a hundred thousand requests, what is done meanwhile.
under_load() {
    name=$1; allowed=$2; shift 2
    steady > steady.json & load=$!
    sleep 3
    "$@"
    wait "$load" || true
    line=$(cat steady.json)
    echo "$name: $line"
    [ "$(field "$line" errors)" -le $(($(field "$line" requests) * allowed / 100000)) ] || { good=no; echo "  too many errors"; }
}
roll() { for node in $nodes; do stop_node "$node" TERM; start_node "$node"; sleep 2; done; }
crash() { stop_node 2 KILL; sleep 5; start_node 2; }

until_good "the champion" curl -sf "$url/v1/series/a/forecast"
under_load "nothing happens" 0 true
under_load "rolling restart" 0 roll
under_load "kill -9 and start" 99 crash

# A write makes the key new; both nodes have heard of it after a second (cache.series_ttl_ms).
curl -sf -o /dev/null -X POST -H 'content-type: application/json' --data \
    '{"observations": [{"valid_time": "2026-02-09T22:00:00Z", "available_at": "2026-02-09T23:59:30Z", "value": 61}]}' \
    "$url/v1/series/a/observations"
sleep 2
before=$(count forewatt_forecasts_computed_total)
line=$(python3 "$here/load.py" "$url" cold 1000) || good=no
computed=$(($(count forewatt_forecasts_computed_total) - before))
echo "cold key, 1000 clients: computed $computed times: $line"
[ "$computed" = 1 ] || good=no
[ "$good" = yes ] && echo "all shown" || { echo "not all shown"; exit 1; }
