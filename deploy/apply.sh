#!/usr/bin/env bash
# Deploys to Google Cloud: tables, identities with their permissions, services, the watchdog and its timer.
#   PROJECT=nba-props-platform deploy/apply.sh          prints every command
#   PROJECT=nba-props-platform deploy/apply.sh --do     runs them; running it again changes only what differs
source "$(dirname "${BASH_SOURCE[0]}")/config.sh"

render() { # a file of deploy/ with its ${NAMES} filled in
  local text name indent threshold; text=$(<"deploy/$1")
  for name in PROJECT REGION LOCATION NAME IMAGE OPERATORS AUDIENCE READ ACT PIPELINE WORKER COORDINATOR WATCHDOG \
    WATCHED_WORKER WATCHED_COORDINATOR SLACK_SECRET ADDRESS HOSTS; do
    text=${text//"\${$name}"/"${!name}"}
  done
  indent=${text%%'# THRESHOLDS'*} indent=${indent##*$'\n'}
  for threshold in "${THRESHOLDS[@]}"; do
    text=${text/'# THRESHOLDS'/"- {name: ${threshold%%=*}, value: \"${threshold#*=}\"}"$'\n'"$indent# THRESHOLDS"}
  done
  if [[ -z $SLACK_SECRET ]]; then text=$(grep -v '# with SLACK_SECRET' <<<"$text"); fi
  printf '%s\n' "$text"
}

replace() { # replace services|jobs FILE
  local file; file=$(mktemp); render "$2" >"$file"
  if grep -q '\${' "$file"; then echo "deploy/$2 names something unknown: $(grep -o '\${[A-Z_]*}' "$file" | head -1)" >&2; exit 2; fi
  echo "# deploy/$2, filled in:"; sed 's/^/#   /' "$file"
  run gcloud run "$1" replace "$file" --project="$PROJECT" --region="$REGION" --quiet
  rm -f "$file"
}

account() { try gcloud iam service-accounts create "${1%%@*}" --project="$PROJECT" --display-name="$2" --quiet; }
on_project() { run gcloud projects add-iam-policy-binding "$PROJECT" --member="serviceAccount:$1" --role="$2" --condition=None --quiet; }
on_service() { run gcloud run services add-iam-policy-binding "$2" --project="$PROJECT" --region="$REGION" --member="serviceAccount:$1" --role="$3" --quiet; }
on_account() { run gcloud iam service-accounts add-iam-policy-binding "$2" --project="$PROJECT" --member="serviceAccount:$1" --role="$3" --quiet; }
on_dataset() { sql "GRANT \`$3\` ON SCHEMA \`$PROJECT.$2\` TO \"serviceAccount:$1\""; }

if [[ -z $PROJECT_NUMBER ]]; then
  if [[ $DO == yes ]]; then PROJECT_NUMBER=$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')
  else PROJECT_NUMBER=PROJECT_NUMBER; fi
fi
: "${ADDRESS:=https://$NAME-$PROJECT_NUMBER.$REGION.run.app}"
HOSTS=${ADDRESS#https://}
AUDIENCE="/projects/$PROJECT_NUMBER/locations/$REGION/services/$NAME"

say "APIs"
run gcloud services enable run.googleapis.com bigquery.googleapis.com logging.googleapis.com iap.googleapis.com \
  cloudscheduler.googleapis.com secretmanager.googleapis.com iamcredentials.googleapis.com monitoring.googleapis.com --project="$PROJECT" --quiet

say "Tables of our own; those of the customer are not touched"
sql "CREATE SCHEMA IF NOT EXISTS \`$PROJECT.prediction_on_call\` OPTIONS (location = '$LOCATION', description = 'The on-call desk: batches, actions, alerts')"
for file in queries/schema/*.sql; do sql "$(<"$file")"; done

say "Identities; deploy/PERMISSIONS.md says which feature needs which permission"
account "$READ" "On-call desk: reads"
account "$ACT" "On-call desk: acts"
account "$TICK" "On-call desk: starts the watchdog"
for who in "$READ" "$ACT"; do
  for role in bigquery.jobUser bigquery.resourceViewer logging.viewer cloudscheduler.viewer; do on_project "$who" "roles/$role"; done
  for service in "$WATCHED_WORKER" "$WATCHED_COORDINATOR"; do on_service "$who" "$service" roles/run.viewer; done
  on_service "$who" "$WATCHED_COORDINATOR" roles/run.invoker
  for dataset in "${LOOK_AT[@]}"; do on_dataset "$who" "$dataset" roles/bigquery.dataViewer; done
done
for dataset in "${CHANGE[@]}"; do
  on_dataset "$READ" "$dataset" roles/bigquery.dataViewer
  on_dataset "$ACT" "$dataset" roles/bigquery.dataEditor
done
on_service "$ACT" "$WATCHED_WORKER" roles/run.developer
if [[ -n $WATCHED_RUNTIME ]]; then on_account "$ACT" "$WATCHED_RUNTIME" roles/iam.serviceAccountUser; fi
on_account "$READ" "$ACT" roles/iam.serviceAccountTokenCreator
if [[ -n $SLACK_SECRET ]]; then
  run gcloud secrets add-iam-policy-binding "$SLACK_SECRET" --project="$PROJECT" --member="serviceAccount:$ACT" \
    --role=roles/secretmanager.secretAccessor --quiet
fi

if [[ $WITH_WRITE_PATH == yes ]]; then
  say "Our own write path, beside the customer's"
  account "$PIPELINE" "On-call desk: worker and coordinator"
  for role in bigquery.jobUser bigquery.resourceViewer logging.logWriter; do on_project "$PIPELINE" "roles/$role"; done
  for dataset in "${LOOK_AT[@]}" nba_reference; do on_dataset "$PIPELINE" "$dataset" roles/bigquery.dataViewer; done
  for dataset in nba_predictions prediction_on_call; do on_dataset "$PIPELINE" "$dataset" roles/bigquery.dataEditor; done
  replace services worker.yaml
  on_service "$PIPELINE" "$WORKER" roles/run.invoker
  on_service "$PIPELINE" "$WORKER" roles/run.viewer
  replace services coordinator.yaml
  on_service "$PIPELINE" "$COORDINATOR" roles/run.viewer
  for who in "$READ" "$ACT"; do
    on_service "$who" "$COORDINATOR" roles/run.invoker
    on_service "$who" "$COORDINATOR" roles/run.viewer
    on_service "$who" "$WORKER" roles/run.viewer
  done
  on_service "$ACT" "$WORKER" roles/run.developer
  on_account "$ACT" "$PIPELINE" roles/iam.serviceAccountUser
fi

say "The dashboard, behind Identity-Aware Proxy"
run gcloud beta services identity create --service=iap.googleapis.com --project="$PROJECT" --quiet
replace services dashboard.yaml
on_service "service-$PROJECT_NUMBER@gcp-sa-iap.iam.gserviceaccount.com" "$NAME" roles/run.invoker
IFS=, read -ra people <<<"$PEOPLE"
for person in "${people[@]}"; do
  run gcloud beta iap web add-iam-policy-binding --project="$PROJECT" --region="$REGION" --resource-type=cloud-run \
    --service="$NAME" --member="$person" --role=roles/iap.httpsResourceAccessor --quiet
done

say "The watchdog and its timer"
replace jobs watchdog.yaml
run gcloud run jobs add-iam-policy-binding "$WATCHDOG" --project="$PROJECT" --region="$REGION" \
  --member="serviceAccount:$TICK" --role=roles/run.invoker --quiet
timer=(--project="$PROJECT" --location="$REGION" --schedule="$EVERY" --time-zone=America/New_York --http-method=POST
  --uri="https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$WATCHDOG:run"
  --oauth-service-account-email="$TICK" --attempt-deadline=60s --quiet)
if [[ $DO == yes ]] && gcloud scheduler jobs describe "$WATCHDOG" --project="$PROJECT" --location="$REGION" >/dev/null 2>&1; then
  run gcloud scheduler jobs update http "$WATCHDOG" "${timer[@]}"
else
  run gcloud scheduler jobs create http "$WATCHDOG" "${timer[@]}"
fi

say "Log-based metrics and alert policies: they tell what the watchdog cannot, its own silence first"
source deploy/monitoring/policies.sh

say "What is there now"
run gcloud run services describe "$NAME" --project="$PROJECT" --region="$REGION" --format='value(status.url)'
if [[ $DO == no ]]; then printf '\n# Nothing was changed. Run it with --do to apply.\n'; fi
