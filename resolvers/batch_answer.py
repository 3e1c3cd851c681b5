"""One input of a batch service: asked, and its result written."""

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import PurePosixPath

import orjson
from asyncpg import Record

from artifacts.csv_mapping import CsvMapping, RowRefused
from artifacts.fan_out import for_each
from artifacts.json_node import JsonValue, printable
from artifacts.object_store import InvalidKey, ObjectStore
from db import batch_row
from db.batch_input import Ending
from db.batch_row import NewRow
from engines.instance_client import SMALL_ANSWER_BYTES, InstanceRequest
from resolvers.batch_configuration import BatchConfiguration
from resolvers.batch_dispatch import BatchDispatcher
from resolvers.batch_failure import InputFailed
from resolvers.batch_file import Room, read_whole, size_of
from resolvers.batch_form import MULTIPART, file_form
from resolvers.batch_journal import BatchJournal
from resolvers.batch_memory import BatchMemory
from resolvers.errors import ErrorCode
from resolvers.installation import Installation

JSON = "application/json"
CSV_SUFFIX = ".csv"
LINES_AT_ONCE = 500
LINES_BYTES = 2**20
# A body is read into one copy and asked with another.
FILE_FACTOR = 2
# Decoded text and its rows take more room than the bytes.
CSV_FACTOR = 4


class BatchAnswers:
    """For one run: `run` is a row of `db.batch_run`, inputs are rows of `db.batch_input`."""

    def __init__(
        self,
        installation: Installation,
        run: Record,
        configuration: BatchConfiguration,
        *,
        dispatcher: BatchDispatcher,
        journal: BatchJournal,
        memory: BatchMemory,
    ) -> None:
        self._installation = installation
        self._run = run
        self._configuration = configuration
        self._dispatcher = dispatcher
        self._journal = journal
        self._memory = memory
        self._limit_bytes = installation.rules.prediction_max_body_bytes

    async def answer(self, row: Record, *, may_be_done: bool) -> None:
        """Bring one input to its end. Raises StoreError where a result cannot be written, or nothing can be read."""
        try:
            ending = await self._ending(row, may_be_done=may_be_done)
        except InputFailed as failure:
            ending = Ending(row["number"], "FAILED", error=failure.problem)
        except InvalidKey as refused:
            unnamed = InputFailed(ErrorCode.INPUT_UNREADABLE, f"Its result cannot be named: {refused}")
            ending = Ending(row["number"], "FAILED", error=unnamed.problem)
        await self._journal.add_ending(ending)

    async def _ending(self, row: Record, *, may_be_done: bool) -> Ending:
        configuration = self._configuration
        result_key = configuration.result_key(row["number"], row["key"])
        output = self._installation.stores[configuration.output.store]
        done = Ending(row["number"], "SUCCEEDED", output.name, result_key)
        store = self._installation.stores.get(row["store"])
        if store is None:
            raise InputFailed(ErrorCode.INPUT_UNREADABLE, f"The store {row['store']!r} is configured here no more.")
        if configuration.csv is not None:
            return await self._csv(row, configuration.csv, store, output, result_key)
        # A result is written as a whole, so one that is there is this input's.
        if may_be_done and await output.head(result_key) is not None:
            return done
        size_bytes = await size_of(store, row["key"], row["size_bytes"], limit_bytes=self._limit_bytes)
        async with self._memory.answers.room(FILE_FACTOR * self._limit_bytes) as room:
            async with self._memory.requests.hold(FILE_FACTOR * size_bytes + SMALL_ANSWER_BYTES):
                data = await read_whole(store, row["key"], row["etag"], limit_bytes=self._limit_bytes)
                answered = await self._dispatcher.ask(self._file_request(row["key"], data), room)
            await output.put(result_key, _once(answered))
        return done

    def _file_request(self, key: str, data: bytes) -> InstanceRequest:
        """The file as the parameter of a form, or, where the API takes JSON, as the body itself."""
        configuration = self._configuration
        content_type, body = configuration.api_content_type, data
        if content_type == MULTIPART:
            content_type, body = file_form(configuration.parameter or "", PurePosixPath(key).name, data)
        return InstanceRequest(configuration.api_method, configuration.api_url, content_type, body)

    async def _csv(
        self, row: Record, mapping: CsvMapping, store: ObjectStore, output: ObjectStore, result_key: str
    ) -> Ending:
        if not row["key"].lower().endswith(CSV_SUFFIX):
            raise InputFailed(ErrorCode.INPUT_UNREADABLE, "A CSV mapping takes files whose names end with .csv.")
        size_bytes = await size_of(store, row["key"], row["size_bytes"], limit_bytes=self._limit_bytes)
        small_bytes = self._configuration.max_concurrency * SMALL_ANSWER_BYTES
        async with self._memory.requests.hold(CSV_FACTOR * size_bytes + small_bytes):
            data = await read_whole(store, row["key"], row["etag"], limit_bytes=self._limit_bytes)
            await self._answer_rows(row["number"], mapping, data)
        identity = (self._run["workspace_id"], self._run["id"], row["number"])
        counts = await batch_row.counts(self._installation.pool, *identity)
        async with self._memory.answers.hold(CSV_FACTOR * (LINES_BYTES + counts["longest_bytes"])):
            await output.put(result_key, self._lines(row["number"]))
        row_count, failed_count = counts["row_count"], counts["failed_row_count"]
        if not failed_count or failed_count < row_count:
            return Ending(row["number"], "SUCCEEDED", output.name, result_key, row_count, failed_count)
        failure = InputFailed(ErrorCode.PREDICTION_FAILED, "Every row failed; the result tells of each.")
        return Ending(row["number"], "FAILED", output.name, result_key, row_count, failed_count, failure.problem)

    async def _answer_rows(self, input_number: int, mapping: CsvMapping, data: bytes) -> None:
        """Every row that was not answered before, each kept when it is."""
        identity = (self._run["workspace_id"], self._run["id"], input_number)
        known = await batch_row.numbers(self._installation.pool, *identity)

        async def answer(numbered: tuple[int, Sequence[str]]) -> None:
            number, cells = numbered
            async with self._memory.answers.room(CSV_FACTOR * self._limit_bytes) as room:
                await self._journal.add_row(input_number, await self._row(number, cells, mapping, room))

        left = (numbered for numbered in _rows(data) if numbered[0] not in known)
        await for_each(left, answer, at_once=self._configuration.max_concurrency)
        await self._journal.flush()

    async def _row(self, number: int, cells: Sequence[str], mapping: CsvMapping, room: Room) -> NewRow:
        configuration = self._configuration
        try:
            body = orjson.dumps(mapping.body(cells))
            request = InstanceRequest(configuration.api_method, configuration.api_url, JSON, body)
            line = _line(await self._dispatcher.ask(request, room))
        except (RowRefused, orjson.JSONEncodeError) as refused:
            return NewRow(number, _failed_line(number, ErrorCode.INVALID_INPUT, str(refused)), is_failed=True)
        except InputFailed as failure:
            return NewRow(number, _failed_line(number, failure.code, failure.message), is_failed=True)
        return NewRow(number, line, is_failed=False)

    async def _lines(self, input_number: int) -> AsyncIterator[bytes]:
        """The result of a CSV input, a line for each row in their order."""
        pool, identity = self._installation.pool, (self._run["workspace_id"], self._run["id"], input_number)
        after = 0
        while page := await batch_row.lines(pool, *identity, after=after, limit=LINES_AT_ONCE, limit_bytes=LINES_BYTES):
            after = page[-1]["number"]
            yield "".join(f"{row['line']}\n" for row in page).encode()


def _rows(data: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows by their numbers, from 1; blank lines are none. Raises InputFailed."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        number = 0
        for cells in reader:
            if cells:
                number += 1
                yield number, cells
    except UnicodeDecodeError as error:
        raise InputFailed(ErrorCode.INPUT_UNREADABLE, "The file is not UTF-8; save it as UTF-8.") from error
    except csv.Error as error:
        raise InputFailed(ErrorCode.INPUT_UNREADABLE, f"The file is no CSV: {error}.") from error


def _line(answer: bytes) -> str:
    """An answer on one line: its JSON, or its text as a JSON string."""
    decoded: JsonValue
    try:
        decoded = orjson.loads(answer)
    except orjson.JSONDecodeError:
        decoded = answer.decode(errors="replace")
    return printable(orjson.dumps(decoded).decode())


def _failed_line(number: int, code: ErrorCode, message: str) -> str:
    return printable(orjson.dumps({"error": {"code": code, "message": message, "row": number}}).decode())


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
