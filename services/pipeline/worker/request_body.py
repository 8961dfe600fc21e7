"""What may be sent to the worker's POST /predict: a unit of players, or one player, plain or inside a Pub/Sub push."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from services.batches.ids import MAX_NAME_LENGTH, is_batch_id, is_player_lookup, read_batch_date
from services.core.errors import InvalidInput
from services.pipeline.worker.predictor import PredictionRequest

MAX_PLAYERS = 1_000  # of one unit


def _check_name(text: str) -> str:
    if not is_player_lookup(text):
        raise ValueError(f"it must be printable and have 1 to {MAX_NAME_LENGTH} letters")
    return text


Name = Annotated[str, AfterValidator(_check_name)]


class _Player(BaseModel):
    """One player of a unit. Fields that the worker does not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    player_lookup: Name
    game_id: Name
    context: dict[str, Any] = Field(default_factory=dict)  # the player's newest context row

    @field_validator("context", mode="before")
    @classmethod
    def _accept_no_context(cls, value: object) -> object:
        return value or {}


class PredictBody(BaseModel):
    """A checked /predict body. Fields that the worker does not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    batch_id: str = Field(default="", validate_default=True)
    game_date: date
    players: list[_Player] = Field(min_length=1, max_length=MAX_PLAYERS)

    @classmethod
    def parse(cls, payload: object) -> Self:
        """Raises InvalidInput with what is wrong."""
        try:
            if isinstance(payload, dict) and "message" in payload:
                payload = json.loads(_PubSubPush.model_validate(payload).message.data)
            if isinstance(payload, dict) and "players" not in payload:
                payload = payload | {"players": [_Player.model_validate(payload)]}
            return cls.model_validate(payload)
        except ValidationError as error:
            raise InvalidInput(f"The request cannot be read: {_describe(error)}.") from None
        except ValueError as error:  # the message's data is not JSON
            raise InvalidInput(f"The request cannot be read: {error}.") from None

    @field_validator("batch_id", mode="before")
    @classmethod
    def _check_batch(cls, value: object) -> str:
        if not value:
            raise ValueError("batch_id is missing, and rows without a batch would never be consolidated")
        if not isinstance(value, str) or not is_batch_id(value):
            raise ValueError(f"batch_id {str(value)[:MAX_NAME_LENGTH]!r} is not a batch id")
        return value

    @field_validator("game_date", mode="before")
    @classmethod
    def _parse_game_date(cls, value: object) -> date:
        if not isinstance(value, str):
            raise ValueError("not a text")
        return date.fromisoformat(value)

    @model_validator(mode="after")
    def _check_unit(self) -> Self:
        """Rows of another date would be consolidated with the batch's; two players of one name would share an outcome."""
        if read_batch_date(self.batch_id) not in (None, self.game_date):
            raise ValueError(f"batch_id {self.batch_id} is not a batch of {self.game_date}")
        if len(set(self.player_lookups)) < len(self.players):
            raise ValueError("players names a player twice")
        return self

    @property
    def player_lookups(self) -> tuple[str, ...]:
        """The players of the unit, in the order of the request."""
        return tuple(player.player_lookup for player in self.players)

    def to_prediction_requests(self) -> tuple[PredictionRequest, ...]:
        """The requests as the predictor takes them, one per player."""
        return tuple(PredictionRequest(self.game_date, p.player_lookup, p.game_id, p.context) for p in self.players)


class _PubSubMessage(BaseModel):
    data: Base64Bytes


class _PubSubPush(BaseModel):
    message: _PubSubMessage


def _describe(error: ValidationError) -> str:
    """The first thing wrong: our own sentence, or the field with pydantic's reason."""
    first = error.errors()[0]
    own_message = str(first.get("ctx", {}).get("error", ""))
    if own_message.startswith(("batch_id", "players")):
        return own_message
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {own_message or first['msg']}"
