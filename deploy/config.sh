# Configuration that apply.sh and undo.sh share. Every value comes from the environment; none is a secret.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${PROJECT:?Set PROJECT to the Google Cloud project, for example nba-props-platform.}"
: "${REGION:=us-west2}"
: "${LOCATION:=US}"                          # of the BigQuery datasets
: "${NAME:=prediction-on-call}"              # the dashboard's service; the others are named after it
: "${IMAGE:=$REGION-docker.pkg.dev/$PROJECT/$NAME/$NAME:latest}"
: "${PROJECT_NUMBER:=}"                      # looked up when empty
: "${OPERATORS:=}"                           # e-mail addresses that may act, with commas between
: "${PEOPLE:=}"                              # who may open the dashboard: group:on-call@example.com,user:nora@example.com
: "${WATCHED_WORKER:=prediction-worker}"     # the customer's own services, never deployed from here
: "${WATCHED_COORDINATOR:=prediction-coordinator}"
: "${WATCHED_RUNTIME:=}"                     # the watched worker's service account; needed to scale it down and restore it
: "${WITH_WRITE_PATH:=no}"                   # yes: also our own worker and coordinator, under names of their own
: "${SLACK_SECRET:=}"                        # Secret Manager's name of the Slack address; empty: none
: "${CHANNEL:=}"                             # Cloud Monitoring's notification channel; empty: its policies reach nobody
: "${ADDRESS:=}"                             # the dashboard's own, where it is not the one Cloud Run gives
: "${EVERY:=*/5 * * * *}"                    # how often the watchdog checks; a job is billed by the started minute

WORKER="$NAME-worker" COORDINATOR="$NAME-coordinator" WATCHDOG="$NAME-watchdog"
READ="$NAME-read@$PROJECT.iam.gserviceaccount.com"
ACT="$NAME-act@$PROJECT.iam.gserviceaccount.com"
PIPELINE="$NAME-pipeline@$PROJECT.iam.gserviceaccount.com"
TICK="$NAME-tick@$PROJECT.iam.gserviceaccount.com"
LOOK_AT=(nba_analytics nba_raw)                            # read by everything here, changed by nothing
CHANGE=(nba_predictions nba_reference prediction_on_call)  # changed by actions and by the write path

for name in PROJECT REGION NAME WATCHED_WORKER WATCHED_COORDINATOR LOCATION; do
  [[ ${!name} =~ ^[A-Za-z][A-Za-z0-9-]{1,62}$ ]] || { echo "$name='${!name}' is not a name: letters, digits and - only." >&2; exit 2; }
done
[[ $IMAGE =~ ^[A-Za-z0-9./_:@-]+$ ]] || { echo "IMAGE='$IMAGE' is not an image." >&2; exit 2; }
[[ $OPERATORS =~ ^[A-Za-z0-9.@,+_\ -]*$ ]] || { echo "OPERATORS must be e-mail addresses with commas between." >&2; exit 2; }
[[ $CHANNEL =~ ^[A-Za-z0-9./_-]*$ ]] || { echo "CHANNEL='$CHANNEL' is not a notification channel." >&2; exit 2; }
[[ ${#NAME} -le 20 ]] || { echo "NAME='$NAME' is too long: a service account's name has 30 characters." >&2; exit 2; }

[[ -z $ADDRESS || $ADDRESS =~ ^https://[A-Za-z0-9.-]+$ ]] || { echo "ADDRESS='$ADDRESS' is not https:// and a name." >&2; exit 2; }

THRESHOLDS=()                                # NAME=value of deploy/thresholds.env: the same for every part
while IFS= read -r line || [[ -n $line ]]; do   # the last line may lack its newline
  [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
  [[ $line =~ ^[A-Z][A-Z0-9_]*=[A-Za-z0-9_.,=-]*$ ]] || { echo "deploy/thresholds.env: '$line' is not NAME=value." >&2; exit 2; }
  THRESHOLDS+=("$line")
done <deploy/thresholds.env

DO=no
case "${1:---dry-run}" in
  --dry-run) ;;
  --do) DO=yes ;;
  *) echo "Usage: $0 [--dry-run | --do]   (without --do it only prints)" >&2; exit 2 ;;
esac

say() { printf '\n# %s\n' "$*"; }

run() { # prints the command as one could type it; runs it only with --do
  printf '%q ' "$@"; echo
  [[ $DO == no ]] || "$@"
}

try() { # the same, where "already exists" or "not found" is no failure
  printf '%q ' "$@"; echo
  [[ $DO == no ]] || "$@" || echo "(went on)" >&2
}

sql() { run bq query --project_id="$PROJECT" --location="$LOCATION" --use_legacy_sql=false --quiet "$1"; }
