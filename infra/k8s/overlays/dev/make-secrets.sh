#!/bin/sh
# Prints the secrets of a fresh installation. Make them once per cluster and keep them: Postgres takes the owner's
# password at its first start only, and without the key in MANYLINE_KEK all linked sessions are lost.
#   sh make-secrets.sh > secrets.env
set -eu
umask 077

hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
url() { printf 'postgres://manyline_%s:%s@postgres:5432/manyline' "$1" "$2"; }

owner=$(hex 24) app=$(hex 24) platform=$(hex 24) worker=$(hex 24) ingest=$(hex 24) notify=$(hex 24) relay=$(hex 24)
cat <<END
DB_PASSWORD_OWNER=$owner
DATABASE_OWNER_URL=$(url owner "$owner")
DATABASE_APP_URL=$(url app "$app")
DATABASE_PLATFORM_URL=$(url platform "$platform")
DATABASE_WORKER_URL=$(url worker "$worker")
DATABASE_INGEST_URL=$(url ingest "$ingest")
DATABASE_NOTIFY_URL=$(url notify "$notify")
DATABASE_RELAY_URL=$(url relay "$relay")
MANYLINE_DB_PASSWORDS={"app":"$app","platform":"$platform","worker":"$worker","ingest":"$ingest","notify":"$notify","relay":"$relay"}
REDIS_URL=redis://redis:6379
MEDIA_STORE=/media
MANYLINE_KEK=k1:$(head -c 32 /dev/urandom | base64)
ADMIN_TOKEN=adm_$(hex 32)
SMTP_URL=smtp://inbox-simulator:7225
TWILIO_AUTH_TOKEN=simulated-twilio-token
META_APP_SECRET=$(hex 16)
META_VERIFY_TOKEN=$(hex 16)
END
