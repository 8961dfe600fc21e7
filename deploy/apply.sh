#!/usr/bin/env bash
# Deploys to Google Cloud: tables, identities with their permissions, services, the watchdog and its timer.
#   PROJECT=nba-props-platform deploy/apply.sh          prints every command
#   PROJECT=nba-props-platform deploy/apply.sh --do     runs them; running it again finishes what is missing and updates the rest
source "$(dirname "${BASH_SOURCE[0]}")/config.sh"

render() { # a file of deploy/ with its ${NAMES} filled in
  local text name threshold; text=$(<"deploy/$1")
  for name in PROJECT REGION LOCATION NAME IMAGE OPERATORS AUDIENCE READ ACT PIPELINE WORKER COORDINATOR WATCHDOG \
    WATCHED_WORKER WATCHED_COORDINATOR SLACK_SECRET ADDRESS HOSTS MAX_INSTANCES CONCURRENCY; do
    text=${text//"\${$name}"/"${!name}"}
  done
  for threshold in "${THRESHOLDS[@]}"; do
    text=$(insert_before "$text" THRESHOLDS "- {name: ${threshold%%=*}, value: \"${threshold#*=}\"}")
  done
  for name in "${SERVICE_ANNOTATIONS[@]}"; do text=$(insert_before "$text" SERVICE_ANNOTATIONS "$name"); done
  for name in "${REVISION_ANNOTATIONS[@]}"; do text=$(insert_before "$text" REVISION_ANNOTATIONS "$name"); done
  if [[ -z $SLACK_SECRET ]]; then text=$(grep -v '# with SLACK_SECRET' <<<"$text"); fi
  printf '%s\n' "$text"
}

insert_before() { # TEXT MARK LINE: the line before the comment `# MARK`, as far to the right
  local indent=${1%%"# $2"*}; indent=${indent##*$'\n'}
  printf '%s' "${1/"# $2"/"$3"$'\n'"$indent# $2"}"
}

replace() { # replace services|jobs FILE
  local file; file=$(mktemp --suffix=.yaml); render "$2" >"$file"
  if grep -q '\${' "$file"; then echo "deploy/$2 names something unknown: $(grep -o '\${[A-Z_]*}' "$file" | head -1)" >&2; exit 2; fi
  echo "# deploy/$2, filled in:"; sed 's/^/#   /' "$file"
  run gcloud run "$1" replace "$file" "${HERE[@]}"
  rm -f "$file"
}

keep_capacity() { # of our worker, once the dashboard has set it: replace drops every annotation that its file does not name
  local live value annotation='^ *"(on-call/[a-z-]+)": (".*[^\]")'
  [[ $DO == yes ]] && exists gcloud run services describe "$WORKER" "${HERE[@]}" --format=json || return 0
  live=$OUTPUT
  while IFS= read -r value; do
    if [[ $value =~ $annotation ]]; then SERVICE_ANNOTATIONS+=("${BASH_REMATCH[1]}: ${BASH_REMATCH[2]}"); fi
  done <<<"$live"
  [[ ${#SERVICE_ANNOTATIONS[@]} -gt 0 ]] || return 0
  value=$(field "$live" run.googleapis.com/maxScale); MAX_INSTANCES=${value:-$MAX_INSTANCES}
  value=$(field "$live" containerConcurrency); CONCURRENCY=${value:-$CONCURRENCY}
  value=$(field "$live" autoscaling.knative.dev/maxScale)
  if [[ -n $value ]]; then REVISION_ANNOTATIONS+=("autoscaling.knative.dev/maxScale: \"$value\""); fi
  echo "# $WORKER keeps the capacity that the dashboard has set: $MAX_INSTANCES × $CONCURRENCY."
}

field() { sed -nE "s|^ *\"$2\": \"?([0-9]+)\"?,?\$|\1|p" <<<"$1" | head -1; }   # the first number of that name in JSON

account() { # ADDRESS TITLE
  if [[ $DO == no ]] || ! exists gcloud iam service-accounts describe "$1" --project="$PROJECT"; then
    run gcloud iam service-accounts create "${1%%@*}" --project="$PROJECT" --display-name="$2" --quiet
  fi
}

finish() { # at the end, also that of a failure
  local code=$?
  trap - EXIT
  print_state
  if [[ $code -ne 0 ]]; then
    echo "# It did not come to its end. What is done stays: run the same command again and it goes on, or take it back with deploy/undo.sh --do." >&2
  elif [[ $DO == no ]]; then printf '\n# Nothing was changed. Run it with --do to apply.\n'; fi
  exit "$code"
}

SERVICE_ANNOTATIONS=() REVISION_ANNOTATIONS=()
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
  cloudscheduler.googleapis.com secretmanager.googleapis.com iamcredentials.googleapis.com monitoring.googleapis.com --project="$PROJECT" --quiet
if [[ -z $LOCATION ]]; then   # our tables go where the predictions are: a query reads one location
  LOCATION=$(ask bq show --format=prettyjson --project_id="$PROJECT" "$PROJECT:nba_predictions" | sed -nE 's/^ *"location": "(.*)",?$/\1/p')
fi
BQ+=(--location="$LOCATION")

say "Log-based metrics first: an alert policy can name one only minutes later"
source deploy/monitoring/policies.sh
apply_metrics

say "Tables of our own; those of the customer are not touched"
sql "CREATE SCHEMA IF NOT EXISTS \`$PROJECT.prediction_on_call\` OPTIONS (location = '$LOCATION', description = 'The on-call desk: batches, actions, alerts')"
for file in queries/schema/*.sql; do sql "$file"; done

say "Identities; deploy/PERMISSIONS.md says which feature needs which permission"
account "$READ" "On-call desk: reads"
account "$ACT" "On-call desk: acts"
account "$TICK" "On-call desk: starts the watchdog"
if [[ -n $PIPELINE ]]; then account "$PIPELINE" "On-call desk: worker and coordinator"; fi
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
