#!/bin/sh
# Starts HAProxy, two nodes, Redis and PostgreSQL on free ports of this machine, without containers; Ctrl-C ends all.
#
#   deploy/cluster/run.sh target/release/forewatt
#
# Needs haproxy, redis-server, postgresql, curl and python3. What is stored is gone at the end.
set -eu
forewatt=$(realpath "${1:?which forewatt? deploy/cluster/run.sh target/release/forewatt}")
. "$(dirname "$0")/lib.sh"
start_all
cat <<TEXT
Forewatt answers on $url; Ctrl-C stops everything.
  nodes        http://127.0.0.1:$node_1_port  http://127.0.0.1:$node_2_port  (processes $node_1_pid $node_2_pid)
  HAProxy      http://127.0.0.1:$stats_port   which nodes are up, counts
  PostgreSQL   $FOREWATT_STORE__URL
  Redis        $FOREWATT_CACHE__REDIS_URL
  logs         $folder/*.log
To bring data in:
  FOREWATT_STORE__URL=$FOREWATT_STORE__URL FOREWATT_STORE__DATA_DIR=$FOREWATT_STORE__DATA_DIR $forewatt import ...
TEXT
wait
