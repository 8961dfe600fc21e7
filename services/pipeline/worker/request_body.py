"""What may be sent to the worker's POST /predict: one player's request, plain or inside a Pub/Sub push."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Self

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.core.errors import InvalidInput
from services.pipeline.worker.predictor import PredictionRequest


class PredictBody(BaseModel):
    """A checked /predict body. Fields that the worker does not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    game_date: date
    player_lookup: str
    game_id: str
    context: dict[str, Any] = Field(default_factory=dict)  # the player's newest context row
    batch_id: str = Field(default="", validate_default=True)

    @classmethod
    def parse(cls, payload: object) -> Self:
        """Raises InvalidInput with what is wrong."""
        try:
            if isinstance(payload, dict) and "message" in payload:
                payload = json.loads(_PubSubPush.model_validate(payload).message.data)
            return cls.model_validate(payload)
        except ValidationError as error:
            raise InvalidInput(f"The request cannot be read: {_describe(error)}.") from None
        except ValueError as error:  # the message's data is not JSON
            raise InvalidInput(f"The request cannot be read: {error}.") from None

    @field_validator("game_date", mode="before")
    @classmethod
    def _parse_game_date(cls, value: object) -> date:
        if not isinstance(value, str):
            raise ValueError("not a text")
        return date.fromisoformat(value)

    @field_validator("context", mode="before")
    @classmethod
    def _accept_no_context(cls, value: object) -> object:
        return value or {}

    @field_validator("batch_id", mode="before")
    @classmethod
    def _require_batch(cls, value: object) -> str:
        if not value:
            raise ValueError("batch_id is missing, and rows without a batch would never be consolidated")
        return str(value)

    def to_prediction_request(self) -> PredictionRequest:
        """The request as the predictor takes it."""
        return PredictionRequest(self.game_date, self.player_lookup, self.game_id, self.context)


class _PubSubMessage(BaseModel):
    data: Base64Bytes


class _PubSubPush(BaseModel):
    message: _PubSubMessage


def _describe(error: ValidationError) -> str:
    """The first thing wrong: our own sentence, or the field with pydantic's reason."""
    first = error.errors()[0]
    own_message = str(first.get("ctx", {}).get("error", ""))
    if own_message.startswith("batch_id"):
        return own_message
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {own_message or first['msg']}"
