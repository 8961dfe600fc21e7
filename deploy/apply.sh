#!/usr/bin/env bash
# Deploys to Google Cloud: tables, identities with their permissions, services, the watchdog and its timer.
#   PROJECT=nba-props-platform deploy/apply.sh          prints every command
#   PROJECT=nba-props-platform deploy/apply.sh --do     runs them; running it again finishes what is missing and updates the rest
source "$(dirname "${BASH_SOURCE[0]}")/config.sh"
source deploy/services.sh

if [[ $DO == yes ]]; then
  check_tools
  PROJECT_NUMBER=${PROJECT_NUMBER:-$(ask gcloud projects describe "$PROJECT" --format='value(projectNumber)')}
else
  : "${PROJECT_NUMBER:=PROJECT_NUMBER}" "${LOCATION:=LOCATION}"
fi
: "${ADDRESS:=https://$NAME-$PROJECT_NUMBER.$REGION.run.app}"
HOSTS=${ADDRESS#https://}
AUDIENCE="/projects/$PROJECT_NUMBER/locations/$REGION/services/$NAME"
trap finish EXIT

say "APIs"
run gcloud services enable run.googleapis.com bigquery.googleapis.com logging.googleapis.com iap.googleapis.com \
  cloudscheduler.googleapis.com secretmanager.googleapis.com iamcredentials.googleapis.com monitoring.googleapis.com pubsub.googleapis.com --project="$PROJECT" --quiet
if [[ -z $LOCATION ]]; then   # our tables go where the predictions are: a query reads one location
  LOCATION=$(ask bq show --format=prettyjson --project_id="$PROJECT" "$PROJECT:nba_predictions" | sed -nE 's/^ *"location": "(.*)",?$/\1/p')
fi
BQ+=(--location="$LOCATION")

say "Log-based metrics first: an alert policy can name one only minutes later"
source deploy/monitoring/policies.sh
apply_metrics

say "Tables of our own; those of the customer are not touched"
sql "CREATE SCHEMA IF NOT EXISTS \`$PROJECT.prediction_on_call\` OPTIONS (location = '$LOCATION', description = 'The on-call dashboard: batches, actions, alerts')"
for file in queries/schema/*.sql; do sql "$file"; done

say "Identities; deploy/PERMISSIONS.md says which feature needs which permission"
account "$READ" "On-call dashboard: reads"
account "$ACT" "On-call dashboard: acts"
account "$TICK" "On-call dashboard: starts the watchdog"
if [[ -n $PIPELINE ]]; then account "$PIPELINE" "On-call dashboard: worker and coordinator"; fi
job_role
grants grant project dataset account secret

if [[ $WITH_WRITE_PATH == yes ]]; then
  say "Our own write path, beside the customer's"
  keep_capacity
  replace services worker.yaml
  SERVICE_ANNOTATIONS=() REVISION_ANNOTATIONS=()
  replace services coordinator.yaml
fi
grants grant service

say "The dashboard, behind Identity-Aware Proxy"
run gcloud beta services identity create --service=iap.googleapis.com --project="$PROJECT" --quiet
replace services dashboard.yaml
change_policy add run roles/run.invoker service "$NAME" "serviceAccount:service-$PROJECT_NUMBER@gcp-sa-iap.iam.gserviceaccount.com"
IFS=, read -ra people <<<"$PEOPLE"
for person in "${people[@]}"; do
  run gcloud beta iap web add-iam-policy-binding "${HERE[@]}" --resource-type=cloud-run --service="$NAME" --member="$person" \
    --role=roles/iap.httpsResourceAccessor
done

say "The watchdog and its timer"
replace jobs watchdog.yaml
grants grant job
timer=(--project="$PROJECT" --location="$REGION" --schedule="$EVERY" --time-zone=America/New_York --http-method=POST
  --uri="https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$WATCHDOG:run"
  --oauth-service-account-email="$TICK" --attempt-deadline=60s --quiet)
if [[ $DO == yes ]] && exists gcloud scheduler jobs describe "$WATCHDOG" --project="$PROJECT" --location="$REGION"; then
  run gcloud scheduler jobs update http "$WATCHDOG" "${timer[@]}"
else
  run gcloud scheduler jobs create http "$WATCHDOG" "${timer[@]}"
fi

say "Alert policies: they tell what the watchdog cannot, its own silence first"
apply_policies
