import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from models.feddymem.settings import Settings

ADAPTER = TypeAdapter(Settings)


def test_an_empty_table_gives_the_defaults_and_survives_json():
    settings = ADAPTER.validate_python({})
    assert settings == Settings()
    assert ADAPTER.validate_json(ADAPTER.dump_json(settings)) == settings


@pytest.mark.parametrize(
    "off",
    [
        {"generator": {"enabled": False}},
        {"generator": {"metric_loss": False}},
        {"memory": {"dynamic": False}},
        {"memory": {"reduce": False}},
        {"aggregation": {"kmeans": False}},
    ],
)
def test_each_of_the_five_parts_can_be_switched_off(off):
    assert ADAPTER.validate_python(off) != Settings()


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ({"memori": {}}, ("memori",)),
        ({"memory": {"row": 3}}, ("memory", "row")),
        ({"memory": {"rows": 0}}, ("memory", "rows")),
        ({"features": {"backbone": "vgg"}}, ("features", "backbone")),
        ({"features": {"stages": []}}, ("features", "stages")),
        ({"features": {"stages": ["stride16", "stride8"]}}, ("features",)),
        ({"features": {"stages": ["stride8", "stride8"]}}, ("features",)),
        ({"features": {"image_size": 16}}, ("features", "image_size")),
        ({"score": {"false_reject_rate": 0}}, ("score", "false_reject_rate")),
        ({"score": {"holdout": 1.0}}, ("score", "holdout")),
        ({"generator": {"learning_rate": 1.0}}, ("generator", "learning_rate")),
        ({"aggregation": {"trim": 0.5}}, ("aggregation", "trim")),
        ({"aggregation": {"trim": 0.1, "kmeans": False}}, ("aggregation",)),
        ({"aggregation": {"far": "reject"}}, ("aggregation",)),
        ({"aggregation": {"assumed_bad": 1, "far": "move"}}, ("aggregation", "far")),
    ],
)
def test_a_fault_is_told_at_its_place(table, where):
    with pytest.raises(ValidationError) as fault:
        ADAPTER.validate_python(table)
    assert next(tuple(error["loc"][: len(where)]) for error in fault.value.errors()) == where


def test_neither_method_brings_torch_when_a_coordinator_loads_it():
    code = (
        "import sys, models.feddymem.method, models.fedavg.method, models.threshold; "
        "sys.exit(bool({'torch', 'PIL', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
