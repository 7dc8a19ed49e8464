#!/bin/sh
# Makes a Google Cloud project ready for a `google` cluster, once. Needs gcloud (https://cloud.google.com/sdk/docs/install)
# and an owner of the project. Running it again does no harm.
#
#   PROJECT=my-project REGION=europe-west3 OPERATOR=user:me@example.org sh providers/google/set-up.sh
set -eu

: "${PROJECT:?the project's id}" "${OPERATOR:?user:NAME@DOMAIN or serviceAccount:ACCOUNT}"
REGION="${REGION:-us-central1}"
HERE="$(cd "$(dirname "$0")" && pwd)"
NUMBER="$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')"
FUNCTIONS="fedkeeper-functions@$PROJECT.iam.gserviceaccount.com"
INVOKER="fedkeeper-invoker@$PROJECT.iam.gserviceaccount.com"
BUILDS="$NUMBER-compute@developer.gserviceaccount.com"

echo "1/5 APIs"
gcloud services enable --project "$PROJECT" \
  cloudfunctions.googleapis.com run.googleapis.com cloudbuild.googleapis.com \
  artifactregistry.googleapis.com logging.googleapis.com iam.googleapis.com

echo "2/5 identities"
for name in functions invoker; do
  gcloud iam service-accounts describe "fedkeeper-$name@$PROJECT.iam.gserviceaccount.com" --project "$PROJECT" >/dev/null 2>&1 ||
    gcloud iam service-accounts create "fedkeeper-$name" --project "$PROJECT" --display-name "FedKeeper $name"
done

echo "3/5 the operator's role"
gcloud iam roles describe fedkeeperOperator --project "$PROJECT" >/dev/null 2>&1 ||
  gcloud iam roles create fedkeeperOperator --project "$PROJECT" --file "$HERE/operator-role.yaml"

echo "4/5 bindings"
bind() { gcloud projects add-iam-policy-binding "$PROJECT" --member "$1" --role "$2" --condition None --quiet >/dev/null; }
bind "$OPERATOR" "projects/$PROJECT/roles/fedkeeperOperator"
bind "$OPERATOR" roles/run.invoker
bind "serviceAccount:$INVOKER" roles/run.invoker
for role in roles/logging.logWriter roles/artifactregistry.writer roles/storage.objectViewer; do
  bind "serviceAccount:$BUILDS" "$role"
done
for account in "$FUNCTIONS" "$BUILDS"; do
  gcloud iam service-accounts add-iam-policy-binding "$account" --project "$PROJECT" \
    --member "$OPERATOR" --role roles/iam.serviceAccountUser --quiet >/dev/null
done

echo "5/5 done. In the spec:"
cat <<SPEC
providers:
  google:
    cloud:
      project: $PROJECT
      region: $REGION
      service_account: $FUNCTIONS
SPEC
