import pytest
from pydantic import TypeAdapter, ValidationError

from models.fedavg.method import FEDAVG
from models.fedavg.settings import Aggregation, Settings, aggregation_of

ADAPTER = TypeAdapter(Settings)


def test_an_empty_table_gives_the_plain_mean_and_survives_json():
    settings = ADAPTER.validate_python({})
    assert settings.aggregation.plain
    assert ADAPTER.validate_json(ADAPTER.dump_json(settings)) == settings


def test_a_method_without_the_table_averages():
    assert aggregation_of(object()) == Aggregation()


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"rule": "bulyan"}, "'mean', 'trimmed-mean', 'median', 'krum' or 'multi-krum'"),
        ({"rule": "krum"}, "krum needs assumed_bad"),
        ({"rule": "trimmed-mean"}, "trimmed-mean needs assumed_bad"),
        ({"rule": "median", "assumed_bad": 2}, "median makes no use of assumed_bad"),
        ({"assumed_bad": 2}, "mean makes no use of assumed_bad"),
        ({"rule": "krum", "assumed_bad": -1}, "greater than or equal to 0"),
        ({"clip_norm": 1.0, "clip_factor": 2.0}, "two ways to say one bound"),
        ({"clip_norm": 3.0, "max_norm": 2.0}, "nothing is left to clip"),
        ({"clip_norm": 0.0}, "greater than 0"),
        ({"max_norm": float("inf")}, "less than or equal to"),
        ({"max_norm": float("nan")}, "greater than 0|finite number|less than or equal"),
        ({"trim": 0.1}, "Unexpected keyword"),
    ],
)
def test_an_impossible_table_is_refused_and_says_why(table, fault):
    with pytest.raises(ValidationError, match=fault):
        ADAPTER.validate_python({"aggregation": table})


@pytest.mark.parametrize(
    ("table", "fewest"),
    [({}, 1), ({"rule": "median"}, 1), ({"rule": "trimmed-mean", "assumed_bad": 2}, 5)]
    + [({"rule": rule, "assumed_bad": 3}, 9) for rule in ("krum", "multi-krum")],
)
def test_the_fewest_updates_follow_from_the_rule(table, fewest):
    assert FEDAVG.fewest_updates(ADAPTER.validate_python({"aggregation": table})) == fewest
