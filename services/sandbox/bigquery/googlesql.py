"""GoogleSQL's own parser and analyzer: BigQuery's front end, as WebAssembly from the `zetasql` package.

The package's own client compiles 28 MB of WebAssembly at every start (20 s); here the machine code is kept in the user's cache.
"""

from __future__ import annotations

import ctypes
import fcntl
import re
import threading
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from google.protobuf.message import Message
from wasmtime import Config, Engine, Linker, Module, Store, Trap, WasiConfig
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto.options_pb2 import LanguageOptionsProto

CACHE_FOLDER = Path.home() / ".cache" / "prediction-on-call"
TOO_COMPLEX = "Not enough resources for query planning - too many subqueries or query is too complex."
Node = Any  # a message of GoogleSQL's resolved tree; its class depends on the statement
_ERROR = re.compile(r"Code: \d+, Message: (.*)", re.DOTALL)
# What GoogleSQL has and BigQuery has not.
_NOT_IN_BIGQUERY = {
    "FEATURE_AGGREGATE_FILTERING",
    "FEATURE_ARRAY_EQUALITY",
    "FEATURE_ARRAY_ORDERING",
    "FEATURE_CONCAT_MIXED_TYPES",
    "FEATURE_DML_RETURNING",
    "FEATURE_FOR_UPDATE",
    "FEATURE_INSERT_ON_CONFLICT_CLAUSE",
    "FEATURE_JSON_TYPE_COMPARISON",
    "FEATURE_LATERAL_COLUMN_REFERENCES",
    "FEATURE_LIMIT_ALL",
    "FEATURE_LIMIT_OFFSET_EXPRESSIONS",
    "FEATURE_MAP_TYPE",
    "FEATURE_STRUCT_POSITIONAL_ACCESSOR",
    "FEATURE_TIMESTAMP_NANOS",
    "FEATURE_TIMESTAMP_PICOS",
    "FEATURE_UUID_TYPE",
}
# What BigQuery has and GoogleSQL does not enable by itself.
_ALSO_IN_BIGQUERY = {
    "FEATURE_ALTER_COLUMN_SET_DATA_TYPE",
    "FEATURE_ALTER_TABLE_RENAME_COLUMN",
    "FEATURE_CREATE_SNAPSHOT_TABLE",
    "FEATURE_CREATE_TABLE_CLONE",
    "FEATURE_CREATE_TABLE_COPY",
}


class GoogleSqlError(Exception):
    """A statement that GoogleSQL refuses; the text is BigQuery's message with its place, `… at [line:column]`."""


class _Instance:
    """One instance of the WebAssembly module; calls take turns."""

    def __init__(self) -> None:
        config = Config()
        config.shared_memory = True
        config.max_wasm_stack = 2 * 2**20  # the most that is allowed; half a MiB is too little for long expressions
        engine = Engine(config)
        self._store = Store(engine)
        wasi = WasiConfig()
        wasi.preopen_dir(str(files("tzdata.zoneinfo")), "/usr/share/zoneinfo")
        self._store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        self._exports = cast(Any, linker.instantiate(self._store, _load_module(engine)).exports(self._store))
        self._exports["_initialize"](self._store)
        self._memory = self._exports["memory"]
        self._lock = threading.Lock()

    def call(self, method: str, request: Message, response_type: type[Message]) -> Node:
        """Call a method of ZetaSqlLocalService; raises GoogleSqlError with its message."""
        data = request.SerializeToString()
        with self._lock:
            request_at = self._exports["wasm_malloc"](self._store, max(len(data), 1))
            size_at = self._exports["wasm_malloc"](self._store, 4)
            try:
                ctypes.memmove(ctypes.addressof(self._memory.data_ptr().contents) + request_at, data, len(data))
                function = self._exports[f"ZetaSqlLocalService_{method}"]
                response_at = function(self._store, request_at, len(data), size_at)
                if not response_at:
                    raise GoogleSqlError(self._last_error())
                response = self._read(response_at, int.from_bytes(self._read(size_at, 4), "little"))
                self._exports["wasm_free"](self._store, response_at)
            finally:
                self._exports["wasm_free"](self._store, request_at)
                self._exports["wasm_free"](self._store, size_at)
        return response_type.FromString(response)

    def _read(self, at: int, size: int) -> bytes:
        return ctypes.string_at(ctypes.addressof(self._memory.data_ptr().contents) + at, size)

    def _last_error(self) -> str:
        size = self._exports["wasm_get_last_error_size"](self._store)
        at = self._exports["wasm_get_last_error"](self._store)
        text = self._read(at, size).decode()
        return match[1] if (match := _ERROR.match(text)) else text


def _load_module(engine: Engine) -> Module:
    """The compiled module, from the cache; the first start on a machine compiles it (15 s), once for all processes."""
    compiled = CACHE_FOLDER / f"googlesql-{version('zetasql')}-wasmtime-{version('wasmtime')}"
    try:
        CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
        with Path(f"{compiled}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not compiled.exists():
                partial = Path(f"{compiled}.partial")
                partial.write_bytes(bytes(Module.from_file(engine, str(get_wasm_path())).serialize()))
                partial.replace(compiled)
    except OSError:  # no home folder to write to: compiled at every start
        return Module.from_file(engine, str(get_wasm_path()))
    return Module.deserialize_file(engine, str(compiled))


@lru_cache(maxsize=1)
def _instance() -> _Instance:
    return _Instance()


def _call(method: str, request: Message, response_type: type[Message]) -> Node:
    try:
        return _instance().call(method, request, response_type)
    except Trap:  # its stack is exhausted, and its memory not to be trusted
        _instance.cache_clear()
        raise GoogleSqlError(TOO_COMPLEX) from None


@lru_cache(maxsize=1)
def language_options() -> LanguageOptionsProto:
    """BigQuery's dialect."""
    request = service.LanguageOptionsRequest(maximum_features=True)
    options: LanguageOptionsProto = _call("GetLanguageOptions", request, LanguageOptionsProto)
    numbers = {
        name: value.number
        for name, value in LanguageOptionsProto.DESCRIPTOR.fields_by_name[
            "enabled_language_features"
        ].enum_type.values_by_name.items()
    }
    features = set(options.enabled_language_features) | {numbers[name] for name in _ALSO_IN_BIGQUERY}
    del options.enabled_language_features[:]
    options.enabled_language_features.extend(sorted(features - {numbers[name] for name in _NOT_IN_BIGQUERY}))
    options.product_mode = 1  # PRODUCT_EXTERNAL: types by the names BigQuery gives them
    del options.supported_statement_kinds[:]  # none listed: every kind
    return options


def table_paths(sql: str, allow_script: bool = False) -> list[tuple[str, ...]]:
    """The tables of a statement as they are written, one tuple of names each; raises GoogleSqlError for a syntax error."""
    request = service.ExtractTableNamesFromStatementRequest(
        sql_statement=sql, options=language_options(), allow_script=allow_script
    )
    response = _call("ExtractTableNamesFromStatement", request, service.ExtractTableNamesFromStatementResponse)
    return [tuple(name.table_name_segment) for name in response.table_name]


def analyze(sql: str, options: bytes, catalog: bytes) -> Node:
    """The resolved statement (AnyResolvedStatementProto); raises GoogleSqlError for what BigQuery refuses.

    `options` and `catalog` are serialized AnalyzerOptionsProto and SimpleCatalogProto. Raises DecodeError for a statement
    that is accepted, but nested too deeply for Python's protobuf.
    """
    request = service.AnalyzeRequest(sql_statement=sql)
    request.options.ParseFromString(options)
    request.simple_catalog.ParseFromString(catalog)
    return _call("Analyze", request, service.AnalyzeResponse).resolved_statement


if __name__ == "__main__":  # `make` compiles the module once, when it installs the packages
    language_options()
