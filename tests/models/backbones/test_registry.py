import typing

import pytest
import torch
from safetensors.torch import save_file

from models.backbones.registry import BACKBONES, load_network, weights_file
from models.feddymem.settings import Backbone, Stage
from models.method import Unusable

# Parameters of torchvision's networks and of the published Lite0, less those of their heads.
PARAMETERS = {
    "efficientnet_lite0": 4_652_008 - 1_693_160,
    "mobilenet_v3_large": 5_483_032 - 2_511_080,
    "resnet18": 11_689_512 - 513_000,
    "resnet50": 25_557_032 - 2_049_000,
    "wide_resnet50_2": 68_883_240 - 2_049_000,
}


def test_every_backbone_of_a_job_file_is_there():
    assert set(typing.get_args(Backbone)) == set(BACKBONES) == set(PARAMETERS)
    assert all(tuple(backbone.widths) == typing.get_args(Stage) for backbone in BACKBONES.values())


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_backbone_gives_its_stages_with_the_strides_and_widths_it_says(name):
    backbone = BACKBONES[name]
    network = backbone.build().eval()
    x = torch.zeros(1, 3, 64, 96)
    with torch.inference_mode():
        for stage, part in network.stages().items():
            x = part(x)
            stride = int(stage.removeprefix("stride"))
            assert x.shape == (1, backbone.widths[stage], 64 // stride, 96 // stride)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_local_file_of_either_kind_without_their_head(tmp_path, suffix):
    tensors = BACKBONES["resnet18"].build().state_dict()
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pth" else save_file)({**tensors, "fc.weight": torch.zeros(1000, 512)}, path)
    network = load_network("resnet18", path)
    assert torch.equal(network.conv1.weight, tensors["conv1.weight"])
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_packaged_weights_fit_lite0_and_no_other(lite0):
    assert load_network("efficientnet_lite0", lite0).stages()
    with pytest.raises(Unusable, match=r"not weights of resnet18: it lacks 120 tensors, the first is bn1\.bias"):
        load_network("resnet18", lite0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"conv1.weight": None}, r"lacks 1 tensors, the first is conv1\.weight"),
        ({"extra": torch.zeros(1)}, "holds the foreign 1 tensors, the first is extra"),
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, r"has other shapes for 1 tensors, the first is conv1\.weight"),
    ],
)
def test_weights_are_refused_by_name_when_they_do_not_fit_exactly(tmp_path, change, fault):
    tensors = {**BACKBONES["resnet18"].build().state_dict(), **change}
    path = tmp_path / "weights.pth"
    torch.save({key: value for key, value in tensors.items() if value is not None}, path)
    with pytest.raises(Unusable, match=fault):
        load_network("resnet18", path)


class Surprise:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02garbage", "pickle", "list"])
def test_a_file_that_is_no_table_of_tensors_is_refused_and_never_run(tmp_path, capsys, content):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(Surprise() if content == "pickle" else [torch.zeros(1)], path)
    with pytest.raises(Unusable, match=r"weights\.pth"):
        load_network("resnet18", path)
    assert "unpickled" not in capsys.readouterr().out


def test_a_missing_or_damaged_safetensors_file_is_refused(tmp_path):
    with pytest.raises(Unusable, match="cannot be read"):
        load_network("resnet18", tmp_path / "absent.safetensors")
    (tmp_path / "short.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(Unusable, match="cannot be read"):
        load_network("resnet18", tmp_path / "short.safetensors")


def test_the_sites_own_file_goes_before_the_packaged_one(tmp_path, lite0):
    own = tmp_path / "own.pth"
    assert weights_file("efficientnet_lite0", {"efficientnet_lite0": own}) == own
    assert lite0.name.startswith("efficientnet-lite0")


def test_a_site_is_told_what_to_do_when_a_backbone_has_no_weights_there():
    with pytest.raises(Unusable, match=r"name a \.pth or \.safetensors file in \[backbones\.resnet50\]"):
        weights_file("resnet50", {})
