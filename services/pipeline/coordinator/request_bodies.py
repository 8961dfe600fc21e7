"""What may be sent to the coordinator's POST /start, /resume and /stop, and the sentence that refuses anything else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from services.batches.ids import MAX_NAME_LENGTH, is_batch_id, is_player_lookup
from services.core.errors import InvalidInput
from services.policy.eligibility import MIN_AVERAGE_MINUTES

# The customer's schedulers may send any of these; those that mean nothing to this coordinator are accepted and ignored.
IGNORED_FIELDS = {
    "use_multiple_lines",
    "dataset_prefix",
    "skip_completeness_check",
    "skip_postponement_check",
    "require_real_lines",
    "prediction_run_mode",
}
MAX_STARTED_BY_LENGTH = 200
_NOTHING_STARTED = "Nothing was started."
_MESSAGES = {  # the field that is wrong → sentence and hint
    "": ("The body must be a JSON object.", ""),
    "players": ("players must be a list of player_lookup.", _NOTHING_STARTED),
    "force": ("force must be true or false.", ""),
    "min_minutes": ("min_minutes must be a number from 0 to 48.", ""),
}
_BATCH_MESSAGE = 'Send {"batch_id": "batch_…"} and nothing else.'


class StartRequest(BaseModel):
    """A checked /start body. The order of the fields is the order in which a wrong one is named."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    players: list[str] = Field(default=[], min_length=1)  # left out: every eligible player
    force: bool = False
    min_minutes: float = Field(default=MIN_AVERAGE_MINUTES, ge=0, le=48)
    game_date: date = Field(default="TODAY", validate_default=True)
    parent_processor: object = None
    correlation_id: object = None
    started_by: object = None

    @classmethod
    def parse(cls, body: object, today: date) -> Self:
        """`today`, in US Eastern, is what TODAY means; raises InvalidInput with one sentence for the first thing wrong."""
        known_fields = {k: v for k, v in body.items() if k not in IGNORED_FIELDS} if isinstance(body, dict) else body
        try:
            return cls.model_validate(known_fields, context={"today": today})
        except ValidationError as error:
            raise _to_invalid_input(error) from None

    @field_validator("game_date", mode="before")
    @classmethod
    def _parse_game_date(cls, value: object, info: ValidationInfo) -> date:
        today: date = (info.context or {})["today"]
        dates_by_keyword = {"TODAY": today, "TOMORROW": today + timedelta(days=1)}
        if not isinstance(value, str):
            raise ValueError("not a text")
        return dates_by_keyword.get(value.upper()) or date.fromisoformat(value)

    @field_validator("players")
    @classmethod
    def _check_players(cls, players: list[str]) -> list[str]:
        for name in players:
            if not is_player_lookup(name):
                raise PydanticCustomError("player_name", "{name}", {"name": repr(name[:MAX_NAME_LENGTH])})
        return players

    @property
    def requester(self) -> str:
        """Who started the run, for the ledger and the log."""
        return str(self.started_by or self.parent_processor or "scheduler or curl")[:MAX_STARTED_BY_LENGTH]


class BatchRequest(BaseModel):
    """A checked /resume or /stop body."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    batch_id: str

    @classmethod
    def parse(cls, body: object) -> Self:
        """The request of a JSON body; raises InvalidInput with the documented sentence."""
        try:
            request = cls.model_validate(body)
        except ValidationError:
            raise InvalidInput(_BATCH_MESSAGE) from None
        batch_id = request.batch_id
        if not is_batch_id(batch_id):
            raise InvalidInput(f"{batch_id[:MAX_NAME_LENGTH]!r} is not a batch id.", "Take it from the runs page.")
        return request


def _to_invalid_input(error: ValidationError) -> InvalidInput:
    """Unknown fields first, all of them; else the first wrong field."""
    errors = error.errors()
    if unknown := sorted(str(entry["loc"][0]) for entry in errors if entry["type"] == "extra_forbidden"):
        return InvalidInput(f"Unknown field{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}.", _NOTHING_STARTED)
    first = errors[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if field == "game_date":
        return InvalidInput(f"game_date {first['input']!r} is no date.", "Write it as 2025-12-29, TODAY or TOMORROW.")
    if first["type"] == "player_name":
        return InvalidInput(f"{first['msg']} in players is not a player_lookup.", _NOTHING_STARTED)
    if first["type"] == "too_short":
        return InvalidInput(
            "players is empty, and an empty list never means everybody.", "Leave it out to run the whole date."
        )
    return InvalidInput(*_MESSAGES[field])
