import numpy as np
import pytest

from models.hsi.classes import renumbered


def test_classes_meet_by_name_in_whatever_order() -> None:
    labels = np.array([[0, 1], [2, 2]])
    assert renumbered(labels, ("Corn-notill", "Wood"), ("wood", "grass", "corn_notill")).tolist() == [[0, 3], [1, 1]]


def test_a_class_that_the_job_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"labels of asphalt, which is no class of the job \(wood, grass\)"):
        renumbered(np.array([[1, 2]]), ("wood", "asphalt"), ("wood", "grass"))


def test_a_foreign_class_without_a_label_does_no_harm() -> None:
    assert renumbered(np.array([[1, 0]]), ("wood", "asphalt"), ("grass", "wood")).tolist() == [[2, 0]]


def test_two_names_that_meet_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        renumbered(np.array([[1]]), ("Wood", "wood"), ("wood",))
