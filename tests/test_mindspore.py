"""A MindSpore network, exported by MindSpore itself, imported and asked through its code."""

from pathlib import Path

import pytest

from tests.api import Api, config
from tests.built_environment import files_made, python_of
from tests.services import ask, import_version, running, target

MINDSPORE = {"framework": {"aiEngine": "MINDSPORE"}}
TRAINING = """
import sys
import numpy
import mindspore
from mindspore import nn

network = nn.Dense(2, 1, weight_init=mindspore.Tensor([[2.0, 3.0]]), bias_init=mindspore.Tensor([10.0]))
points = mindspore.Tensor(numpy.ones((1, 2), "float32"))
mindspore.export(network, points, file_name=sys.argv[1] + "/network", file_format="MINDIR")
"""
CODE = b"""import mindspore
from mindspore import nn
from model_service.model_service import SingleNodeService


class Network(SingleNodeService):
    def __init__(self, model_name, model_path):
        super().__init__(model_name, model_path)
        self.network = nn.GraphCell(mindspore.load(model_path))

    def _preprocess(self, data):
        return mindspore.Tensor([data["point"]], mindspore.float32)

    def _inference(self, data):
        return {"height": self.network(data).asnumpy()[0]}
"""


@pytest.mark.slow
async def test_a_network_is_served_by_its_code(api: Api, environments: Path, tmp_path: Path) -> None:
    made = await files_made(await python_of("MINDSPORE", environments), TRAINING, tmp_path / "made")
    files = {"model/config.json": config(model_type="MindSpore"), "model/customize_service.py": CODE}
    files["model/network.mindir"] = made["model/network.mindir"]
    version = await import_version(api, files, algorithm=MINDSPORE)
    service = await running(api, "iris", target(version))
    assert await ask(api, service, {"point": [1, 2]}) == {"height": [18.0]}
