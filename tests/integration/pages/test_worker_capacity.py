"""The concurrency page shows the capacity that serves, wherever the traffic goes."""

from __future__ import annotations

import pytest


@pytest.fixture
def sandbox(fresh_sandbox):
    """A sandbox whose worker is rolled back: its traffic is pinned to the revision before the emergency, 20 × 5."""
    run = fresh_sandbox.state.cloud_run
    run.operation_s = 0.0
    name = next(name for name in run.services if name.endswith("/prediction-worker"))
    pinned = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "prediction-worker-00010-k7d"}
    run.patch(name, {"traffic": [{**pinned, "percent": 100}]}, "traffic", False)
    return fresh_sandbox


def test_with_pinned_traffic_the_page_shows_what_serves_and_that_it_is_pinned(open_page):
    screen = open_page("worker_capacity")
    assert (
        "prediction-worker: 100 concurrent requests (20 × 5, normal, traffic pinned to prediction-worker-00010-k7d); limit 22"
        in screen.text
    )
    assert "pinned: a new revision would not serve" in screen.text
    labels = [button.label for button in screen.app.button]
    assert {"Move traffic to the latest revision", "Reduce to 2 × 5"} <= set(labels)
    set_button = next(button for button in screen.app.button if button.key == "offer scaling.set form")
    assert (set_button.label, set_button.disabled) == ("Already at 20 × 5", True)
    screen.app.text_input(key="set instances").set_value("21").run()
    set_button = next(button for button in screen.app.button if button.key == "offer scaling.set form")
    assert (set_button.label, set_button.disabled) == ("Apply 21 × 5", False)
    screen.app.text_input(key="set instances").set_value("999")
    set_button.click().run()  # in the browser the text and the click arrive together
    set_button = next(button for button in screen.app.button if button.key == "offer scaling.set form")
    assert (set_button.label, set_button.disabled) == ("Apply capacity", True)
    assert "Max instances: a whole number from 1 to 100, not “999”." in screen.text
    assert "Set prediction-worker" not in screen.text, "no plan has opened"
