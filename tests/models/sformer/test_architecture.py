import pytest

from models.sformer.architecture import PAPER, SMALL, Architecture


def test_tokens_of_both_presets_when_counted() -> None:
    assert (PAPER.grid, PAPER.tokens) == (5, 100)
    assert (SMALL.grid, SMALL.tokens) == (5, 50)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"window": 9}, "does not divide into tokens of 2"),
        ({"channels": 120}, "multiple of 32"),
        ({"depth": 5}, "into 2 stages"),
        ({"keep": 0.001}, "leaves none of 100 tokens"),
    ],
)
def test_architecture_is_refused_when_its_parts_do_not_fit(options: dict[str, float], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Architecture(**options)  # type: ignore[arg-type]
