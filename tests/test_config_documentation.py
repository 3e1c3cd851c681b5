"""docs/packages.md has configs that are read, and names everything that a package may be."""

import re
from pathlib import Path

import pytest

from artifacts.ai_engine import AiEngine
from artifacts.config import read_config
from artifacts.engine_layout import ENGINE_LAYOUTS
from artifacts.input_output_mode import InputOutputMode
from artifacts.model_template import model_templates

PACKAGES = Path(__file__).parent.parent / "docs" / "packages.md"


def documented(title: str) -> str:
    (block,) = re.findall(rf'^```json title="{title}"\n(.*?)^```$', PACKAGES.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.mark.parametrize("title", ["model/config.json", "image/config.json"])
def test_the_documented_configs_need_no_word(title: str) -> None:
    reading = read_config(documented(title).encode(), file="config.json")
    assert reading.config is not None
    assert reading.warnings == ()


@pytest.mark.parametrize("name", [
    *(engine.model_type for engine in AiEngine), *(template.id for template in model_templates()), *InputOutputMode,
    *(pattern for layout in ENGINE_LAYOUTS.values() for part in layout.required for patterns in part.choices
      for pattern in patterns if "**" not in pattern and "[" not in pattern),
])  # fmt: skip
def test_every_engine_template_mode_and_file_is_documented(name: str) -> None:
    assert f"`{name}`" in PACKAGES.read_text()
