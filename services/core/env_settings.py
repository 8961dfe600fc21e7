"""How a setting is read: strictly, from the environment, into a frozen record; an unknown value is refused, never guessed.

A group of settings is a subclass of `EnvSettings` whose fields name their variable (`validation_alias`), default and
meaning (`description`); `repr=False` marks a secret. pydantic-settings reads and checks it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from services.core.errors import SettingsError
from services.core.text import lower_ascii

EMAIL_PATTERN = (
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9.-]+"  # in lower case; ASCII only, so no letter looks like another
)
MAX_REPEATED = 80  # characters of a value; names, addresses and numbers are shorter
_MAY_HOLD_A_SECRET = re.compile(r"(?:[:/].*@)|[?#&{]|-----|(?i:token|secret|passw|api.?key)")

PAGER_FORMATS = ("webhook", "pagerduty", "opsgenie")


class EnvSettings(BaseSettings):
    """A group of settings. `from_env` reads variables; called with field names, the class takes those and the defaults."""

    model_config = SettingsConfigDict(
        frozen=True,
        case_sensitive=True,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `from_env` passes the environment, so that a test can pass a mapping of its own."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read `env` (the process environment by default); raises SettingsError naming the variable and its rule.

        A variable that is empty or blank counts as unset. The same variables are parsed once: a page asks twenty times.
        """
        env = os.environ if env is None else env
        return cls._parse(frozenset((name, value.strip()) for name, value in env.items() if value.strip()))

    @classmethod
    @lru_cache(maxsize=64)
    def _parse(cls, variables: frozenset[tuple[str, str]]) -> Self:
        source = EnvSettingsSource(cls)
        source.env_vars = dict(variables)
        try:
            return cls(**source())
        except ValidationError as error:
            raise _to_settings_error(cls, error, source.env_vars) from None

    @classmethod
    def variables(cls, field: FieldInfo) -> tuple[str, ...]:
        """The environment variables of a field, the one that wins first."""
        alias = field.validation_alias
        return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (str(alias),)


def _to_settings_error(cls: type[EnvSettings], error: ValidationError, env: Mapping[str, str | None]) -> SettingsError:
    """The first refused variable as a sentence; a value is not repeated where it is a secret, or seems to hold one."""
    refused = error.errors(include_url=False)[0]
    field, name = next(
        (field, name)
        for field in cls.model_fields.values()
        for name in cls.variables(field)
        if name in env and refused["loc"][0] in cls.variables(field)
    )
    value = _quote_value(env[name] or "") if field.repr else "'…'"
    problem = refused["msg"] if refused["type"] == "port" else f"cannot be used: {refused['ctx']['error']}"
    return SettingsError(
        f"{name}={value} {problem}.", f"Unset it for the default, {format_value(field.default) or 'empty'}."
    )


def _quote_value(text: str) -> str:
    """A refused value, quoted; "…" where it may hold a secret: user and password, a query, a key, or what is very long."""
    return "'…'" if len(text) > MAX_REPEATED or _MAY_HOLD_A_SECRET.search(text) else repr(text)


def format_value(value: object) -> str:
    """A setting's value as one would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    if isinstance(value, tuple):
        return ",".join(f"{name}={format_value(part)}" for name, part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def list_settings(settings: EnvSettings, group: type[EnvSettings]) -> Iterator[tuple[str, str, str, str]]:
    """Variable, value, default and meaning of each setting of `group`, of which `settings` is one. Secrets are masked."""
    for field_name, field in group.model_fields.items():
        value = getattr(settings, field_name)
        masked = format_value(value) if field.repr else ("set" if value else "not set")
        yield " or ".join(group.variables(field)), masked, format_value(field.default), field.description or ""


def describe(*groups: EnvSettings) -> str:
    """A table of every variable of these groups: its value now, its default, what it is for. Secrets are masked.

    A variable that several groups read is listed once, as the first of them reads it.
    """
    rows = {"variable": ("value", "default", "meaning")}
    for group in groups:
        for variable, *row in list_settings(group, type(group)):
            rows.setdefault(variable, (row[0], row[1], row[2]))
    widths = [max(map(len, rows)), *(max(len(row[i]) for row in rows.values()) for i in range(2))]
    return "\n".join(
        f"{variable:{widths[0]}}  {value:{widths[1]}}  {default:{widths[2]}}  {meaning}"
        for variable, (value, default, meaning) in rows.items()
    )


# --- kinds of values --------------------------------------------------------------------------------------------------


def _check_name(raw: str) -> str:
    if not raw or not all(c.isalnum() or c in "-_" for c in raw):
        raise ValueError("letters, digits, - and _ only")
    return raw


def _check_url(raw: str) -> str:
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("an http:// or https:// address, or nothing")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address without user, password or query: no secrets in a URL")
    return raw.rstrip("/")


def _check_secret_url(raw: str) -> str:
    """The address itself is the secret, so a refusal must not repeat it."""
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("an http:// or https:// address, or nothing")
    return raw


def _check_secret_key(raw: str) -> str:
    """A key goes into a header, which has no other characters."""
    if not all("!" <= character <= "~" for character in raw):
        raise ValueError("a key of letters, digits and signs, without blanks")
    return raw


def _check_service_account(raw: str) -> str:
    if raw and not re.fullmatch(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com", raw):
        raise ValueError("a service account's address, or nothing")
    return raw


def _check_pager_format(raw: str) -> str:
    if raw not in PAGER_FORMATS:
        raise ValueError(" or ".join(PAGER_FORMATS))
    return raw


def _check_names(raw: str) -> str:
    return ",".join(_check_name(part.strip()) for part in raw.split(",") if part.strip())


def _parse_list(raw: str | frozenset[str]) -> frozenset[str]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    return frozenset(lower_ascii(part.strip()) for part in parts if part.strip())


def _check_principals(names: frozenset[str]) -> frozenset[str]:
    if invalid := sorted(name for name in names if not re.fullmatch(rf"{EMAIL_PATTERN}|[a-z0-9-]+", name)):
        raise ValueError(f"e-mail addresses or group names, with commas between; not {_quote_value(invalid[0])}")
    return names


def _check_host_names(names: frozenset[str]) -> frozenset[str]:
    if invalid := sorted(name for name in names if not name.replace("-", "").replace(".", "").isalnum()):
        raise ValueError(f"host names without port, with commas between; not {_quote_value(invalid[0])}")
    return names


def _parse_bool(raw: str | bool) -> bool:
    """`true` or `false`, in any case; nothing else."""
    if (text := str(raw).lower()) not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _parse_int(raw: str | int, minimum: int) -> int:
    text = str(raw)
    if not (text.isascii() and text.isdecimal()) or int(text) < minimum:
        raise ValueError(f"a whole number from {minimum}")
    return int(text)


def _parse_count(raw: str | int) -> int:
    return _parse_int(raw, 0)


def _parse_positive_int(raw: str | int) -> int:
    return _parse_int(raw, 1)


def _parse_port(raw: str | int) -> int:
    text = str(raw)
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
        raise PydanticCustomError("port", "is not a port: give a number from 1 to 65535")
    return int(text)


def _parse_float(raw: str | float, rule: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise ValueError(rule) from None


def _parse_positive_float(raw: str | float) -> float:
    rule = "a number above 0"
    if not 0 < (number := _parse_float(raw, rule)) < float("inf"):
        raise ValueError(rule)
    return number


def _parse_percent(raw: str | float) -> float:
    rule = "a number from 0 to 100"
    if not 0 <= (number := _parse_float(raw, rule)) <= 100:
        raise ValueError(rule)
    return number


def _parse_percent_by_system(raw: str | tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """`system=percent` with commas between; sorted by system, each once."""
    if not isinstance(raw, str):
        return raw
    parts = [part.partition("=") for part in raw.split(",") if part.strip()]
    by_system = {_check_name(name.strip()): _parse_percent(percent) for name, _, percent in parts}
    if len(by_system) != len(parts):
        raise ValueError("each system once")
    return tuple(sorted(by_system.items()))


Name = Annotated[str, AfterValidator(_check_name)]
OptionalName = Annotated[str, AfterValidator(lambda text: text and _check_name(text))]
Names = Annotated[str, AfterValidator(_check_names)]
Url = Annotated[str, AfterValidator(_check_url)]
SecretUrl = Annotated[str, AfterValidator(_check_secret_url)]
SecretKey = Annotated[str, AfterValidator(_check_secret_key)]
ServiceAccount = Annotated[str, AfterValidator(_check_service_account)]
Principals = Annotated[frozenset[str], NoDecode, BeforeValidator(_parse_list), AfterValidator(_check_principals)]
HostNames = Annotated[frozenset[str], NoDecode, BeforeValidator(_parse_list), AfterValidator(_check_host_names)]
Flag = Annotated[bool, BeforeValidator(_parse_bool)]
Count = Annotated[int, BeforeValidator(_parse_count)]
PositiveInt = Annotated[int, BeforeValidator(_parse_positive_int)]
Port = Annotated[int, BeforeValidator(_parse_port)]
PositiveFloat = Annotated[float, BeforeValidator(_parse_positive_float)]
Percent = Annotated[float, BeforeValidator(_parse_percent)]
PagerFormat = Annotated[str, AfterValidator(_check_pager_format)]
PercentBySystem = Annotated[tuple[tuple[str, float], ...], NoDecode, BeforeValidator(_parse_percent_by_system)]
