import torch
from torch import Generator

from models.sformer.augmentation import turned


def test_each_window_lies_in_one_of_six_ways_when_turned() -> None:
    window = torch.arange(16.0).reshape(1, 1, 4, 4)
    ways = [window, window.flip(-1), window.flip(-2), *(window.rot90(times, (-2, -1)) for times in (1, 2, 3))]
    found = turned(window.repeat(4000, 1, 1, 1), Generator().manual_seed(0))
    shares = [float((found == way).all(dim=(1, 2, 3)).float().mean()) for way in ways]
    assert abs(sum(shares) - 1) < 1e-6
    assert abs(shares[0] - 0.5) < 0.03
    assert all(abs(share - 0.1) < 0.02 for share in shares[1:])


def test_windows_stay_what_they_are_when_changed() -> None:
    windows = torch.randn(8, 3, 4, 4, generator=Generator().manual_seed(1))
    before = windows.clone()
    first, second = (turned(windows, Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(windows, before)
