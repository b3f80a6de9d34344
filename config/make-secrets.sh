#!/bin/sh
# Writes what config/default expects as secrets into FOLDER: tokens, keys and certificates, all new and
# random. It calls no cluster; `kubectl create secret --from-file` does the rest.
#
#   POSTGRES_DSN=postgres://… REDIS_URL=rediss://… REDIS_AGENT_URL=rediss://… sh config/make-secrets.sh FOLDER
#
# Without addresses it writes those of the overlay "development", with passwords for its stores.
set -eu
umask 077

folder=${1:?the folder to write into is missing}
namespace=${NAMESPACE:-daef-system}
if [ -e "$folder" ]; then
  echo "$folder is there already; remove it, or name another folder." >&2
  exit 1
fi
if [ -n "${POSTGRES_DSN:-}" ]; then
  : "${REDIS_URL:?is missing beside POSTGRES_DSN}" "${REDIS_AGENT_URL:?is missing beside POSTGRES_DSN}"
fi
mkdir -p "$folder/control-plane" "$folder/operator" "$folder/agent" "$folder/metrics" "$folder/tls" \
  "$folder/authority" "$folder/stores"

# ── tokens: one for each kind of caller, so that one can be changed without the others ────────────
for caller in operator agent metrics; do
  printf %s "$(openssl rand -hex 32)" > "$folder/$caller/token"
done
printf '%s:tenant:*|operator|metrics,%s:worker,%s:metrics' "$(cat "$folder/operator/token")" \
  "$(cat "$folder/agent/token")" "$(cat "$folder/metrics/token")" > "$folder/control-plane/api-tokens"
printf %s "$(openssl rand -hex 32)" > "$folder/control-plane/secret-key"

# ── stores ────────────────────────────────────────────────────────────────────────────────────────
if [ -n "${POSTGRES_DSN:-}" ]; then
  rmdir "$folder/stores"
else
  postgres=$(openssl rand -hex 24) redis=$(openssl rand -hex 24) agents=$(openssl rand -hex 24)
  printf %s "$postgres" > "$folder/stores/postgres-password"
  # Agents get a user that may take tickets and no more.
  cat > "$folder/stores/valkey.conf" <<CONF
port 6379
dir /data
save ""
maxmemory-policy noeviction
user default on >$redis ~* &* +@all
user agent on >$agents ~rq:* &rq:* +@read +@write +@blocking +@transaction +@pubsub +@connection -@admin -@dangerous +info +client|setname +client|setinfo +client|list
CONF
  POSTGRES_DSN="postgres://daef:$postgres@daef-postgres.$namespace.svc:5432/daef?sslmode=disable"
  REDIS_URL="redis://:$redis@daef-redis.$namespace.svc:6379/0"
  REDIS_AGENT_URL="redis://agent:$agents@daef-redis.$namespace.svc:6379/0"
fi
printf %s "$POSTGRES_DSN" > "$folder/control-plane/postgres-dsn"
printf %s "$REDIS_URL" > "$folder/control-plane/redis-url"
printf %s "$REDIS_AGENT_URL" > "$folder/control-plane/redis-agent-url"

# ── gRPC's certificate, by an authority of its own; good for a year ───────────────────────────────
service=daef-control-plane
(
  cd "$folder/tls"
  openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  openssl ecparam -name prime256v1 -genkey -noout -out tls.key
  openssl req -x509 -new -key ca.key -days 3650 -subj '/CN=DAEF' -out ca.crt
  openssl req -new -key tls.key -subj "/CN=$service" -out tls.csr
  printf 'subjectAltName=DNS:%s,DNS:%s,DNS:%s,DNS:%s\nextendedKeyUsage=serverAuth\n' "$service" \
    "$service.$namespace" "$service.$namespace.svc" "$service.$namespace.svc.cluster.local" > extensions
  openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile extensions \
    -out tls.crt 2> openssl.log || { cat openssl.log >&2; exit 1; }
  rm -f tls.csr extensions openssl.log ca.srl
)
# The authority's key signs the next certificate; no pod needs it.
mv "$folder/tls/ca.key" "$folder/authority.key"
mv "$folder/tls/ca.crt" "$folder/authority/ca.crt"
echo "$folder: secrets for $namespace. Keep authority.key out of the cluster."
