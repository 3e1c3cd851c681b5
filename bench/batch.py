"""How many inputs a batch service answers in a second, against a plain loop over the same model in one process.

    .venv/bin/python -m bench.batch --files 3000

The model is scikit-learn's, small, so that what is measured is nearly all the service's own: reading, asking, writing,
and noting down. The loop reads, parses, predicts and writes one input after another, and notes nothing down. A service
is timed from the moment that its instances are ready until its run has ended. Processor time is that of the server, the
instances' left out, and of the loop, for each request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tests.journey import Journey, JourneyFailure, last
from tests.server_process import Checkout
from tests.trained_model import IRIS_FIELDS, IRIS_QUESTION, config, train_iris

ROWS = 250
LIMIT_SECONDS = 1800.0
ROW = {name: {"type": "number", "index": number} for number, name in enumerate(IRIS_FIELDS)}
RULE = {"properties": {"data": {"properties": {"req_data": {"items": [{"properties": ROW}]}}}}}
FILE = {"type": "object", "properties": {"file": {"type": "file"}}}
DEPLOY = """mutation ($input: DeployBatchServiceInput!) { deployBatchService(input: $input) {
    service { id } errors { message } } }"""
WATCH = """query ($name: String!) { service(by: {name: $name}) { status statusMessage
    auditEvents(first: 20) { nodes { kind occurredAt } } } }"""
PLAIN = """
import json, sys, time, warnings
from pathlib import Path
import joblib
warnings.simplefilter("ignore")
model, source, target = joblib.load(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
def predict(rows):
    return [{"predictresult": int(label)} for label in model.predict([[row[name] for name in names] for row in rows])]
started, busy = time.perf_counter(), time.process_time()
for file in sorted(source.iterdir()):
    if file.suffix == ".csv":
        rows = (dict(zip(names, map(float, line.split(",")))) for line in file.read_text().splitlines())
        answers = [json.dumps({"data": {"resp_data": predict([row])}}) for row in rows]
    else:
        answers = [json.dumps({"data": {"resp_data": predict(json.loads(file.read_bytes())["data"]["req_data"])}})]
    (target / f"{file.name}_result.txt").write_text("\\n".join(answers))
print(time.perf_counter() - started, time.process_time() - busy)
"""


@dataclass(frozen=True, slots=True)
class Case:
    label: str
    version: str
    source: str
    requests: int
    mapping: Mapping[str, Any]
    instances: int
    at_once: int


def main() -> None:
    options = _options()
    machine = f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    print(f"{'':44}{'requests/s':>12}{'plain/s':>10}{'ratio':>8}{'CPU ms':>9}{'plain':>8}")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as folder:
        asyncio.run(_run(options, Path(folder)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3000, help="files, and rows of CSV (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write (default: the current folder)")
    return parser.parse_args()


async def _run(options: argparse.Namespace, folder: Path) -> None:
    checkout = Checkout(folder / "data")
    async with checkout.serving() as process, checkout.journey() as journey:
        server = psutil.Process(process.pid)
        trained = train_iris(folder)
        rows = await _version(journey, trained)
        files = await _version(journey, {**trained, "model/config.json": config("Scikit_Learn", FILE, {})})
        (own,) = (folder / "data" / "objects" / "workspaces").iterdir()
        _write_inputs(own, options.files)
        prefix, csv = f"workspaces/{own.name}", {"csv": {"rule": RULE}}
        for instances, at_once in ((1, 1), (1, 4), (2, 8), (2, 32)):
            told = f"{instances} instances, {at_once} at once"
            cases = [
                Case(f"a file each, {told}", files, f"{prefix}/files", options.files, {"file": {}}, instances, at_once),
                Case(f"a row each, {told}", rows, f"{prefix}/tables", options.files, csv, instances, at_once),
            ]
            for case in cases:
                await _measure(journey, server, case, folder)


async def _version(journey: Journey, files: Mapping[str, bytes]) -> str:
    run = await journey.record("training", "SCIKIT_LEARN")
    await journey.upload("training", run, files)
    version = await journey.import_model("iris", "training", run)
    await last(journey.watch_import("iris", version))
    return version


def _write_inputs(own: Path, count: int) -> None:
    (own / "files").mkdir()
    (own / "tables").mkdir()
    question = json.dumps(IRIS_QUESTION)
    for number in range(count):
        (own / "files" / f"{number:06}.json").write_text(question)
    for number in range(0, count, ROWS):
        lines = "5.1,3.5,1.4,0.2\n" * min(ROWS, count - number)
        (own / "tables" / f"{number:06}.csv").write_text(lines)


async def _measure(journey: Journey, server: psutil.Process, case: Case, folder: Path) -> None:
    plain, plain_busy = _plain_seconds(folder, case)
    name = case.label.replace(" ", "-").replace(",", "")
    output = f"{case.source.rpartition('/')[0]}/answers/{name}"
    target = {"modelVersion": {"modelName": "iris", "version": case.version}, "instanceCount": case.instances}
    given = {
        "name": name,
        "target": target,
        "input": {"key": case.source},
        "output": {"key": output},
        "mapping": case.mapping,
        "maxConcurrency": case.at_once,
    }
    before = _busy_seconds(server)
    deployed = (await journey.ask(DEPLOY, input=given))["deployBatchService"]
    if deployed["errors"]:
        raise JourneyFailure(str(deployed["errors"]))
    seconds = await _seconds(journey, name)
    rate, plain_rate = case.requests / seconds, case.requests / plain
    busy = (_busy_seconds(server) - before) / case.requests * 1e3
    rates = f"{rate:>12.1f}{plain_rate:>10.1f}{rate / plain_rate:>8.2f}"
    print(f"{case.label:44}{rates}{busy:>9.2f}{plain_busy / case.requests * 1e3:>8.2f}", flush=True)


async def _seconds(journey: Journey, name: str) -> float:
    async with asyncio.timeout(LIMIT_SECONDS):
        while (found := (await journey.ask(WATCH, name=name))["service"])["status"] not in ("FINISHED", "FAILED"):
            await asyncio.sleep(0.5)
    assert (found["status"], found["statusMessage"]) == ("FINISHED", None), found
    at = {event["kind"]: datetime.fromisoformat(event["occurredAt"]) for event in found["auditEvents"]["nodes"]}
    return (at["BATCH_RUN_FINISHED"] - at["SERVICE_RUNNING"]).total_seconds()


def _busy_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _plain_seconds(folder: Path, case: Case) -> tuple[float, float]:
    """How long the loop takes, and how much of that it is busy."""
    target = folder / "plain"
    target.mkdir()
    source = folder / "data" / "objects" / case.source
    command = [sys.executable, "-I", "-c", PLAIN, str(folder / "iris.pkl"), str(source), str(target)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    shutil.rmtree(target)
    seconds, busy = map(float, said.split())
    return seconds, busy


if __name__ == "__main__":
    main()
