"""Models with versions in every state, their files and the builds of their environments."""

from artifacts.ai_engine import AiEngine
from artifacts.pickle_scan import ScanState
from engines.runtime_catalogue import INSTALLED
from resolvers.scan_report import scan_report
from tests import rich_text
from tests.rich_text import apis, moment, problem
from tests.rich_writer import Row, Writer

VERSION_STATUSES = ("NORMAL", "IMPORTING", "BUILDING", "IMPORT_FAILED", "BUILD_FAILED")
BUILD_STATES = ("SUCCEEDED", "RUNNING", "FAILED")
SCAN_STATES = ("CLEAN", "UNKNOWN", "SUSPICIOUS", "NOT_SCANNED")
SOURCES = ("TRAINING_JOB", "OBJECT_STORAGE", "TEMPLATE", "TRAINING_JOB", "TRAINING_JOB", "CONTAINER_IMAGE")


async def write_models(writer: Writer) -> None:
    names = ["iris", "模型", "empty", "a-b_c", "full", f"{writer.marker}only-here"]
    counts = {0: 14, 1: 5, 3: 2, 4: 1, 5: 2}
    models = await writer.insert(
        "model",
        (
            {
                "name": name,
                "last_version_number": 999_999 if number == 4 else counts.get(number, 0),
                "version_count": counts.get(number, 0),
                "revision": number + 1,
                "created_at": moment(number),
                "created_by": f"{writer.marker}token",
            }
            for number, name in enumerate(names)
        ),
    )
    places = [(number, count) for number, total in counts.items() for count in range(1, total + 1)]
    await writer.insert(
        "model_version",
        (
            version(writer, place, models[number], 999_999 if number == 4 else count)
            for place, (number, count) in enumerate(places)
        ),
    )


def version(writer: Writer, place: int, model: Row, version_number: int) -> Row:
    status = VERSION_STATUSES[place % 5] if version_number != 999_999 else "NORMAL"
    is_read = place % 10 not in (1, 3) or status == "NORMAL"
    return {
        "model_id": model["id"],
        "model_name": model["name"],
        "version_number": version_number,
        "status": status,
        "description": writer.text(place) if place % 3 else None,
        "labels": [writer.text(n) for n in range(place % 4)],
        "documents": [
            {"name": f"doc-{n}", "url": f"https://{writer.marker}d.test/?a=1&n={n}"} for n in range(place % 3)
        ],
        "origin": "BUILT_IN_ALGORITHM" if place % 2 else "CUSTOM_ALGORITHM",
        **source(writer, place),
        "source_store": "default" if is_read else None,
        "source_key": f"{writer.marker}outputs/{place}/model" if is_read else None,
        "chosen_deployment_types": ["REAL_TIME"] if place % 3 == 1 else None,
        "minimum_cpu_count": 0.5 if place % 4 == 1 else None,
        "minimum_memory_bytes": 2**53 - 1 if place % 2 == 1 else None,
        "minimum_gpu_count": 0.0 if place % 8 == 2 else None,
        "minimum_ascend_count": 0 if place % 8 == 3 else None,
        "deployment_types": (["REAL_TIME"], ["REAL_TIME", "BATCH", "EDGE"], [])[place % 3] if is_read else None,
        "ai_engine": ("SCIKIT_LEARN", "IMAGE", *AiEngine)[place % 13] if is_read else None,
        "algorithm": writer.text(place) if is_read else None,
        "requested_runtime": "python3.6" if place % 2 and is_read else None,
        "runtime": INSTALLED if place % 3 != 1 and is_read else None,
        "requirements": ["numpy==2.4.6", writer.text(2)] if is_read else None,
        "config": f'{{"of": "{writer.marker}{place}",\n "é": [1.0, "\\\\"]}}' if is_read else None,
        "apis": apis(writer.marker, place) if is_read else [],
        "dependencies": rich_text.dependencies(writer.marker, place) if is_read else [],
        "metrics": rich_text.METRICS[place % len(rich_text.METRICS)] if is_read else None,
        "health_check": rich_text.health_check(writer.marker, place),
        "container": rich_text.container(writer.marker, place),
        "scan": scan_report([*ScanState][: place % 5] * 2) if is_read else None,
        "provenance": rich_text.provenance(writer.marker, place) if is_read else None,
        "integrity": rich_text.integrity(writer.marker, place) if is_read else None,
        "inference_code_path": "customize_service.py" if place % 2 == 0 else None,
        "model_path": "model.m" if is_read else None,
        "size_bytes": (0, 2**53 - 1, 12_345)[place % 3] if is_read else None,
        "digest": writer.sha256(f"package {place}") if is_read else None,
        "problems": [problem(writer.marker, n + place) for n in range(place % 3 + 1)] if "FAILED" in status else [],
        "warnings": [problem(writer.marker, n) for n in range(place % 3)],
        "imported_at": moment(place) if status == "NORMAL" else None,
        "revision": place + 1,
        "created_at": moment(place),
        "created_by": f"{writer.marker}token",
        # The highest NORMAL version of the first model, and one that failed.
        "deleted_at": moment(place) if place in (10, 13) else None,
        "deleted_by": f"{writer.marker}token" if place in (10, 13) else None,
        "restorable_until": moment(place + 7) if place in (10, 13) else None,
    }


def source(writer: Writer, place: int) -> Row:
    """What a version was imported from, as the importer named it."""
    kind, runs = SOURCES[place % len(SOURCES)], writer.rows["training_job_version"]
    is_folder, is_image = kind in ("OBJECT_STORAGE", "TEMPLATE"), kind == "CONTAINER_IMAGE"
    has_place = is_folder or (is_image and place % 4 == 1)
    return {
        "source_kind": kind,
        "training_job_version_id": runs[place * 2 % 8]["id"] if kind == "TRAINING_JOB" else None,
        "chosen_store": "default" if has_place else None,
        "chosen_key": f"{writer.marker}chosen/{place}/é" if has_place else None,
        # The first one is in no catalogue any more.
        "template": (f"{writer.marker}gone", "scikit-learn")[place // 6 % 2] if kind == "TEMPLATE" else None,
        "chosen_input_output_mode": "UNDEFINED" if kind == "TEMPLATE" and place % 4 == 0 else None,
        "image": f"{writer.marker}registry.test/image:{place}" if is_image else None,
        "image_command": writer.text(place) if is_image and place % 4 == 3 else None,
    }


async def write_files(writer: Writer) -> None:
    versions = [version for version in writer.rows["model_version"] if version["digest"]]
    paths = ("customize_service.py", "Z.bin", "a/b.pkl", "a b.txt", "é.json", "模型.m", "_x")
    files = [
        {
            "model_version_id": version["id"],
            "path": path,
            "size_bytes": (0, 2**53 - 1, 17)[number % 3],
            "sha256": writer.sha256(f"{place}/{path}"),
            "scan_state": SCAN_STATES[(place + number) % 4],
            "scan_globals": [f"{writer.marker}os.system", "builtins.eval"][: (place + number) % 3],
            "scan_reason": writer.text(number) if number % 2 else None,
        }
        for place, version in enumerate(versions)
        for number, path in enumerate((*paths, f"{writer.marker}only")[: 1 + place * 3 % 9])
    ]
    await writer.connection.executemany(
        "INSERT INTO stored_blob (sha256, size_bytes) VALUES ($1, $2)",
        [(file["sha256"], file["size_bytes"]) for file in files],
    )
    await writer.insert("model_file", files, has_id=False)


async def write_builds(writer: Writer) -> None:
    await writer.insert(
        "environment_build",
        (
            {
                "model_version_id": version["id"],
                "digest": writer.sha256(f"environment {place}").hex(),
                "runtime": INSTALLED,
                "requirements": ["numpy==2.4.6", writer.text(place)][: place % 3],
                "state": BUILD_STATES[(place + number) % 3],
                "log": "\n".join(writer.text(line) for line in range(place % 6)),
                "started_at": moment(place),
                "finished_at": moment(place + 1) if (place + number) % 3 != 1 else None,
            }
            for place, version in enumerate(writer.rows["model_version"])
            for number in range(place % 3)
        ),
    )
