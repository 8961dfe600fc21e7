"""For Prefect's own Python: a flow of one task, executed once a night in this process. Standard input: [night, fails] for each."""

import json
import sys

from prefect import flow, task


@task
def predict(fails):
    if fails:
        raise RuntimeError("too many concurrent writes")


@flow(name="nights", flow_run_name="{night}")
def predict_night(night, fails):
    predict(fails)


def main():
    for night, fails in json.load(sys.stdin):
        predict_night(night, fails, return_state=True)


if __name__ == "__main__":
    main()
