"""For Airflow's own Python: a DAG of one task, executed once a night in this process. Standard input: [night, fails] for each."""

import json
import sys
from datetime import UTC, datetime

from airflow.sdk import dag, task


@dag(dag_id="nights", schedule=None)
def nights():
    @task
    def predict(dag_run=None):
        if dag_run.conf.get("fails"):
            raise RuntimeError("too many concurrent writes")

    predict()


definition = nights()


def main():
    for night, fails in json.load(sys.stdin):
        logical_date = datetime.fromisoformat(night).replace(tzinfo=UTC)
        definition.test(logical_date=logical_date, run_conf={"fails": fails})


if __name__ == "__main__":
    main()
