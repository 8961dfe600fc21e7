"""A filter of one's own stays within its parentheses, and what cannot be sent is one sentence."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

import pytest

from services.core.errors import InvalidInput, SourceUnavailable
from services.core.settings import Settings
from services.sandbox.stand_ins import log_filter
from services.telemetry import log_search
from services.telemetry.log_reader import NAME_LABELS
from services.telemetry.log_search import MAX_OWN_CHARS, SOURCES, SOURCES_BY_NAME, LogSearch, add_clause, strip_comments
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients

AT = datetime(2025, 12, 29, 19, 47, 51, tzinfo=UTC)
SERVICES = SOURCES_BY_NAME["Cloud Run services"]
OURS, FOREIGN = "prediction-worker", "cloud_function"


def make_entry(
    text: str, resource: str = "cloud_run_revision", at: datetime = AT, **fields: object
) -> dict[str, object]:
    labels = {"service_name": OURS} if resource == "cloud_run_revision" else {"function_name": FOREIGN}
    resource_fields = {"type": resource, "labels": labels}
    return {"timestamp": at.isoformat(), "insertId": text, "resource": resource_fields, "textPayload": text, **fields}


def search(text: str, source: str = SERVICES.name, hours: float = 1) -> LogSearch:
    return LogSearch(text, SOURCES_BY_NAME[source], AT - timedelta(hours=hours), AT + timedelta(minutes=1))


@pytest.fixture
def project():
    project = MemoryProject(SimulatedClock(AT + timedelta(minutes=2)))
    project.log.add([make_entry("one"), make_entry("two"), make_entry("of a function", "cloud_function")])
    project.log.add([make_entry("an hour ago", at=AT - timedelta(hours=2))])
    return project


@pytest.mark.parametrize(
    "text",
    [
        'severity>=ERROR) OR (resource.type="cloud_function"',
        'x) OR (resource.type="cloud_function") OR (y',
        ') OR resource.type="cloud_function" OR (severity=ERROR',
        "severity>=ERROR -- )\n) OR (x",
        "severity>=ERROR --\r) OR (x\n)",
        '"a\\" ) OR (b',
        "')' ) OR (",
        "a--) OR (b",
    ],
)
def test_a_filter_that_could_leave_its_parentheses_is_refused(text):
    with pytest.raises(InvalidInput):
        search(text).to_filter()


@pytest.mark.parametrize(
    "text",
    [
        "severity>=DEFAULT -- a comment at the end",
        'textPayload:"one" OR textPayload:"of a function"',
        'textPayload:"(" OR textPayload:")" OR "one" -- ) OR (',
        'severity>=DEFAULT -- \r) OR resource.type="cloud_function" OR (x',
        'timestamp>="2020-01-01T00:00:00Z"',
        "-- nothing but a comment",
        "",
    ],
)
def test_a_filter_never_reaches_beyond_its_resources_and_its_time(project, text):
    found = log_search.read_search(memory_clients(project), search(text))
    assert {line.service for line in found.lines} == {OURS}
    assert "an hour ago" not in {line.message for line in found.lines}
    assert "one" in {line.message for line in found.lines}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('severity>=ERROR\n AND "open', "The quotation mark at line 2, column 6 is not closed."),
        ("(severity>=ERROR", "The parenthesis at line 1, column 1 is not closed."),
        ("severity>=ERROR)", "The parenthesis at line 1, column 16 closes nothing."),
        ("textPayload:'x'", "' at line 1, column 1 is not within quotation marks."),
        ("severity>=ERROR--x", "-- at line 1, column 1 is not within quotation marks."),
        ("x" * 30_000, "The filter has 30,000 characters, of at most 19,500"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, sentence):
    with pytest.raises(InvalidInput, match="^" + sentence[:20]) as refused:
        strip_comments(text)
    assert refused.value.message.startswith(sentence)


def test_the_longest_filter_fits_with_every_source_into_what_logging_takes():
    for source in SOURCES:
        longest = LogSearch("x" * MAX_OWN_CHARS, source, AT, AT + timedelta(days=1)).to_filter()
        assert len(longest) <= log_search.MAX_FILTER_CHARS == log_filter.MAX_FILTER_CHARS


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (AT, AT, "ends before it begins"),
        (AT, AT - timedelta(days=1), "ends before"),
        (AT - timedelta(days=119), AT, "119 days"),
    ],
)
def test_a_time_that_cannot_be_searched_is_refused(start, end, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        LogSearch("", SERVICES, start, end).to_filter()


def test_a_month_can_be_searched_and_a_second_more_cannot():
    assert LogSearch("", SERVICES, AT - log_search.MAX_SPAN, AT).to_filter()
    with pytest.raises(InvalidInput, match="at most 31"):
        LogSearch("", SERVICES, AT - log_search.MAX_SPAN - timedelta(seconds=1), AT).to_filter()


def test_the_start_of_a_search_is_part_of_it_and_its_end_is_not(project):
    project.log.add([make_entry("at the start", at=AT - timedelta(hours=1))])
    project.log.add([make_entry("at the end", at=AT + timedelta(minutes=1))])
    messages = {line.message for line in log_search.read_search(memory_clients(project), search("")).lines}
    assert ("at the start" in messages, "at the end" in messages) == (True, False)


def test_what_logging_refuses_is_one_sentence(project):
    with pytest.raises(InvalidInput, match="Unparseable filter") as refused:
        log_search.read_search(memory_clients(project), search("severity>="))
    assert "what you typed is kept" in refused.value.hint
    assert "Unparseable filter" in log_search.answer_search(memory_clients(project), search("severity>=")).refusal
    assert "Unparseable filter" in log_search.answer_tail(memory_clients(project), "severity>=", SERVICES).refusal


def test_lines_of_functions_are_found_by_their_source(project):
    found = log_search.read_search(memory_clients(project), search("", "Cloud Functions"))
    assert [(line.service, line.message) for line in found.lines] == [(FOREIGN, "of a function")]
    assert len(log_search.read_search(memory_clients(project), search("", "Everything")).lines) == 3


def test_the_newest_lines_are_read_and_the_others_make_it_partial(project):
    found = log_search.read_search(memory_clients(project), search(""), limit=1)
    assert [line.message for line in found.lines] == ["two"]
    assert found.truncated


@pytest.mark.parametrize(
    ("read", "pages"),
    [
        (lambda clients: log_search.read_search(clients, search("")), log_search.MAX_PAGES),
        (lambda clients: log_search.read_tail(clients, "", SERVICES), 1),
    ],
    ids=["search", "tail"],
)
def test_a_log_without_end_is_given_up_after_the_pages_that_one_reader_may_have(project, read, pages):
    asked = []

    def list_endlessly(data):
        asked.append(data)
        return {"entries": [], "nextPageToken": "more"}

    project.log.list = list_endlessly
    found = read(memory_clients(project))
    assert (len(asked), found.truncated) == (pages, True)


def test_a_request_and_an_audit_record_have_a_text(project):
    request = {"status": 403, "requestMethod": "POST", "requestUrl": "https://w/predict"}
    project.log.add([make_entry("", httpRequest=request)])
    audit = {"methodName": "SetIamPolicy", "status": {"message": "denied"}}
    project.log.add([{**make_entry(""), "insertId": "audit", "protoPayload": audit}])
    messages = {line.message for line in log_search.read_search(memory_clients(project), search("")).lines}
    assert {"403 POST https://w/predict", "SetIamPolicy denied"} <= messages
    assert len(log_search.read_search(memory_clients(project), search(log_search.FAILED_REQUESTS)).lines) == 1


def test_the_command_of_a_search_is_the_same_filter():
    command = search("severity>=ERROR -- comment").command(Settings.from_env({}))
    assert "severity>=ERROR)" in command
    log_filter.parse(command.split("'")[1])


def test_a_filter_with_an_apostrophe_is_one_word_of_the_command():
    found = search('''textPayload:"it's"; rm -rf "x"''')
    assert shlex.split(found.command(Settings.from_env({})))[3] == found.to_filter()


@pytest.mark.parametrize(
    "clause",
    [
        log_search.of_service(OURS),
        log_search.of_revision("prediction-worker-00011-zw5"),
        log_search.at_least("ERROR"),
        log_search.with_text('a "quoted" text'),
        log_search.of_batch("batch_2025-12-29_1767037620"),
        log_search.FAILED_REQUESTS,
    ],
)
def test_each_part_is_a_filter_and_joins_another(clause):
    log_filter.parse(strip_comments(clause))
    assert add_clause("", clause) == add_clause("-- only a comment", clause) == clause
    joined = strip_comments(add_clause("severity>=INFO -- comment", clause))
    log_filter.parse(joined)
    assert joined.endswith(f"AND {clause}"), "no comment hides it"


def test_a_name_with_quotation_marks_stays_one_text():
    name, quoted = 'x" OR "y', '"x\\" OR \\"y"'
    assert log_search.of_batch(name) == quoted
    assert log_search.of_revision(name) == f"resource.labels.revision_name={quoted}"
    assert log_search.of_service(name).count(quoted) == len(NAME_LABELS)


def test_all_tails_together_read_the_log_only_so_often(project):
    clients, reads = memory_clients(project), []
    list_entries = project.log.list

    def count_reads(data):
        reads.append(data)
        return list_entries(data)

    project.log.list = count_reads
    for n in range(6):
        log_search.read_tail(clients, f'"tail {n}"', SERVICES)
    with pytest.raises(SourceUnavailable, match=r"read limit is reached \(6/min\)"):
        log_search.read_tail(clients, '"one too many"', SERVICES)
    assert len(reads) == clients.cache.log_reads_last_minute() == 6


def test_a_tail_beyond_its_reads_shows_what_it_has(project):
    clients = memory_clients(project)
    first = log_search.read_tail(clients, "", SERVICES)
    assert [line.message for line in first.lines] == ["one", "two"]
    for n in range(5):
        log_search.read_tail(clients, f'"tail {n}"', SERVICES)
    clients.cache.invalidate()
    assert log_search.read_tail(clients, "", SERVICES) is first


def test_who_follows_the_same_tail_reads_it_once_for_all(project):
    clients = memory_clients(project)
    found = [log_search.read_tail(clients, "", SERVICES) for _ in range(3)]
    assert found[0] is found[1] is found[2]
    assert clients.cache.log_reads_last_minute() == 1


def test_a_tail_has_the_newest_lines_in_the_order_of_their_time(project):
    lines = [f"line {n}" for n in range(log_search.TAIL_LINES + 1)]
    project.log.add([make_entry(text, at=AT + timedelta(milliseconds=n)) for n, text in enumerate(lines, start=1)])
    found = log_search.read_tail(memory_clients(project), "", SERVICES)
    assert ([line.message for line in found.lines], found.truncated) == (lines[1:], True)
