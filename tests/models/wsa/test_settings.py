import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from models.wsa.settings import Settings

CLASSES = ["soil", "water"]


def _read(**table: object) -> Settings:
    return TypeAdapter(Settings).validate_python({"classes": CLASSES, **table})


def test_a_job_needs_no_more_than_its_classes():
    assert _read().alignment.mode == "auto"


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"alignment": {"target": "fixed"}}, "fixed_deviation and target"),
        ({"alignment": {"reference": "base"}}, "reference and target"),
        ({"alignment": {"strength": -1}}, "greater than or equal to 0"),
        ({"network": "resnet"}, "sformer-small"),
        ({"classes": ["soil"]}, "at least 2"),
        ({"bands": {"components": 0}}, "greater than or equal to 1"),
        ({"training": {"rate": 1}}, "rate"),
    ],
)
def test_a_fault_is_named(table, fault):
    with pytest.raises(ValidationError, match=fault):
        _read(**table)


def test_a_coordinator_loads_the_method_without_torch():
    code = "import sys, models.wsa.method; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
