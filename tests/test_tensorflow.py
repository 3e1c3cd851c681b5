"""SavedModels, trained and saved by TensorFlow itself, imported and asked: without code and with it."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api import Api, config
from tests.built_environment import files_made, python_of
from tests.packages import TENSORFLOW, api_of, dependency, field_schema
from tests.services import ask, import_version, log_of, running, target

# A line through points, fitted; and a signature of its own for text.
TRAINING = """
import sys
import tensorflow as tf


class Line(tf.Module):
    def __init__(self):
        self.weights = tf.Variable([[0.0], [0.0]])

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="points")])
    def predict(self, points):
        return {"height": points @ self.weights}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def count(self, text):
        return {"length": tf.strings.length(text, unit="UTF8_CHAR"), "same": text}


line = Line()
points = tf.constant([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])
heights = tf.constant([[3.0], [2.0], [5.0], [7.0]])
for _ in range(400):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((line.predict(points)["height"] - heights) ** 2)
    line.weights.assign_sub(0.2 * tape.gradient(loss, line.weights))
assert loss < 1e-6, loss
tf.saved_model.save(line, sys.argv[1], signatures={"serving_default": line.predict, "count": line.count})
"""
# As modelarts_23_0173 has it, but for the size of its pictures.
PICTURE_CODE = b"""import numpy as np
from PIL import Image
from model_service.tfserving_model_service import TfServingBaseService


class mnist_service(TfServingBaseService):
    def _preprocess(self, data):
        preprocessed_data = {}
        for k, v in data.items():
            for file_name, file_content in v.items():
                image1 = Image.open(file_content)
                image1 = np.array(image1, dtype=np.float32)
                image1.resize((1, 4))
                preprocessed_data[k] = image1
        return preprocessed_data

    def _postprocess(self, data):
        infer_output = {}
        for output_name, result in data.items():
            infer_output["mnist_result"] = result[0].index(max(result[0]))
        return infer_output
"""
PICTURES = """
import sys
import tensorflow as tf


class Brightest(tf.Module):
    def __init__(self):
        self.scale = tf.Variable(1.0 / 255)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="images")])
    def predict(self, images):
        return {"scores": images * self.scale}


model = Brightest()
tf.saved_model.save(model, sys.argv[1], signatures={"serving_default": model.predict})
"""
COUNTING_CODE = b"""from model_service.tfserving_model_service import TfServingBaseService


class Counting(TfServingBaseService):
    signature_name = "count"
"""


async def package(program: str, environments: Path, tmp_path: Path, **changes: Any) -> dict[str, bytes]:
    """The SavedModel that a program saves, with a config."""
    made = await files_made(await python_of("TENSORFLOW", environments), program, tmp_path / "made")
    kept = {path: data for path, data in made.items() if not path.endswith("fingerprint.pb")}
    return {"model/config.json": config(model_type="TensorFlow", **changes), **kept}


async def service_of(api: Api, files: dict[str, bytes]) -> Any:
    return await running(api, "iris", target(await import_version(api, files, algorithm=TENSORFLOW)))


async def refusal(api: Api, service: Any, body: object) -> str:
    response: httpx.Response = await api.http.post(service["predictionUrl"], json=body)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT"), response.text
    message: str = response.json()["message"]
    return message


@pytest.mark.slow
async def test_a_saved_model_answers_rows_and_named_inputs_without_code(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    service = await service_of(api, await package(TRAINING, environments, tmp_path))
    answer = await ask(api, service, {"data": {"req_data": [{"x": 1, "y": 2}, {"x": 3, "y": 0}]}, "meta": {"id": 1}})
    assert answer["meta"] == {"id": 1}
    heights = [row["height"][0] for row in answer["data"]["resp_data"]]
    assert heights == pytest.approx([8, 6], abs=0.01)
    named = await ask(api, service, {"inputs": {"points": [[1, 2]]}})
    assert named["outputs"]["height"][0] == pytest.approx([8], abs=0.01)
    assert (await ask(api, service, {"points": [[1, 2]]})).keys() == {"height"}
    points = {"name": "points", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 0]}
    asked = await ask(api, service, {"inputs": [points]}, path="/v2/models/iris/infer")
    (height,) = asked["outputs"]
    assert (height["name"], height["datatype"], height["shape"]) == ("height", "FP32", [2, 1])
    assert height["data"] == pytest.approx([8, 6], abs=0.01)

    assert "'points' (float32, [any, 2])" in await refusal(api, service, {"inputs": {}})
    assert "no input 'point'" in await refusal(api, service, {"point": [[1, 2]]})
    assert "the shape [1, 3]" in await refusal(api, service, {"inputs": {"points": [[1, 2, 3]]}})
    assert "cannot be that" in await refusal(api, service, {"inputs": {"points": [["a", "b"]]}})
    assert "cannot be that" in await refusal(api, service, {"inputs": {"points": [[1, 2], [3]]}})
    assert "row 1 of req_data" in await refusal(api, service, {"data": {"req_data": [[1, 2], [1]]}})
    response = await api.http.post(service["predictionUrl"], files={"points": ("one.bin", io.BytesIO(b"\x00" * 8))})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT")
    assert "is no file: send JSON" in response.json()["message"]
    assert not [line for line in await log_of(api, "iris") if "WARNING:tensorflow" in line or "cuda" in line.lower()]


@pytest.mark.slow
async def test_pictures_are_sent_as_a_form_to_the_code_of_the_official_sample(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    sides = api_of(field_schema(images="file"), field_schema(mnist_result="integer"))
    needs = dependency({"package_name": "pillow"}, {"package_name": "numpy"})
    files = await package(PICTURES, environments, tmp_path, apis=sides, dependencies=needs)
    files["model/config.json"] = files["model/config.json"].replace(b"application/json", b"multipart/form-data", 1)
    service = await service_of(api, {**files, "model/customize_service.py": PICTURE_CODE})
    picture = b"P5 2 2 255\n" + bytes([3, 7, 200, 9])
    response = await api.http.post(service["predictionUrl"], files={"images": ("digit.pgm", io.BytesIO(picture))})
    assert (response.status_code, response.json()) == (200, {"mnist_result": 2})
    response = await api.http.post(service["predictionUrl"], files={"pictures": ("digit.pgm", io.BytesIO(picture))})
    assert response.status_code == 400
    assert "no input 'pictures'" in response.json()["message"]


@pytest.mark.slow
async def test_code_chooses_the_signature_and_text_and_files_go_in_as_they_are(
    api: Api, environments: Path, tmp_path: Path
) -> None:
    files = await package(TRAINING, environments, tmp_path)
    service = await service_of(api, {**files, "model/customize_service.py": COUNTING_CODE})
    answer = {"data": {"resp_data": [{"length": 1, "same": "桜"}, {"length": 3, "same": "abc"}]}}
    assert await ask(api, service, {"data": {"req_data": [{"text": "桜"}, ["abc"]]}}) == answer
    response = await api.http.post(service["predictionUrl"], files={"text": ("one.txt", io.BytesIO(b"four"))})
    assert response.json() == {"length": [4], "same": ["four"]}
