# The manifests of deploy/*.yaml with their ${NAMES} filled in. Part of apply.sh.

SERVICE_ANNOTATIONS=() REVISION_ANNOTATIONS=()   # of our worker, beside those of its manifest

render() { # a file of deploy/ with its ${NAMES} filled in
  local text name threshold; text=$(<"deploy/$1")
  for name in PROJECT REGION LOCATION NAME IMAGE OPERATORS AUDIENCE READ ACT PIPELINE WORKER COORDINATOR WATCHDOG \
    WATCHED_WORKER WATCHED_COORDINATOR SLACK_SECRET ESCALATE_AFTER_MIN ESCALATION_FORMAT ESCALATION_KEY_SECRET \
    ESCALATION_URL_SECRET ADDRESS HOSTS MAX_INSTANCES CONCURRENCY; do
    text=${text//"\${$name}"/"${!name}"}
  done
  for threshold in "${THRESHOLDS[@]}"; do
    text=$(insert_before "$text" THRESHOLDS "- {name: ${threshold%%=*}, value: \"${threshold#*=}\"}")
  done
  for name in "${SERVICE_ANNOTATIONS[@]}"; do text=$(insert_before "$text" SERVICE_ANNOTATIONS "$name"); done
  for name in "${REVISION_ANNOTATIONS[@]}"; do text=$(insert_before "$text" REVISION_ANNOTATIONS "$name"); done
  for name in SLACK_SECRET ESCALATION_KEY_SECRET ESCALATION_URL_SECRET; do
    if [[ -z ${!name} ]]; then text=$(grep -v "# with $name" <<<"$text"); fi
  done
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
