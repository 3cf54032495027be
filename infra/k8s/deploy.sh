#!/bin/sh
# Deploys an overlay in the order that leaves no gap: everything but the services; the migrations to their end; then
# the services. The workers get a generation of their own, higher than any before, so that freed shards go straight to
# the new ones. Deploying the same version again restarts the workers, one after the other.
#   infra/k8s/deploy.sh infra/k8s/overlays/dev
set -eu
overlay=${1:?which overlay? deploy.sh <folder>}
namespace=${NAMESPACE:-manyline}
services='gateway,session-worker,webhook-ingest,notifier'

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
umask 077
kubectl kustomize "$overlay" >"$folder/rendered.yaml"
sed "s|manyline.dev/generation: .*|manyline.dev/generation: \"$(date +%s)\"|" "$folder/rendered.yaml" >"$folder/all.yaml"

kubectl --namespace "$namespace" delete job migrate --ignore-not-found
kubectl apply --filename "$folder/all.yaml" --selector "app.kubernetes.io/component notin ($services)"
kubectl --namespace "$namespace" wait job/migrate --for=condition=complete --timeout=600s
kubectl apply --filename "$folder/all.yaml" --selector "app.kubernetes.io/component in ($services)"
kubectl --namespace "$namespace" rollout status deployment/gateway
kubectl --namespace "$namespace" rollout status deployment/session-worker
kubectl --namespace "$namespace" rollout status deployment/webhook-ingest
kubectl --namespace "$namespace" rollout status deployment/notifier
