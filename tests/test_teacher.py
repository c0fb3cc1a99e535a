"""A pupil learns what other nets say, whoever they are, and is its own net afterwards."""

import re
import shutil
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from conftest import Finished
from kindling import Run
from kindling.errors import UserError
from kindling.reopening.teacher import Teacher


def test_a_pupil_learns_what_the_members_of_its_teacher_say(run: Callable[..., Finished]) -> None:
    """Their mean, of images as they are and as an augmentation before it has made them; later it needs no teacher."""
    digits = ["data=digits", "model.dropout=0", "trainer.max_epochs=1", "~callbacks.figures"]
    teacher = run(*digits, "population=2").folder
    members = [Run(run(*digits, f"seed={seed}").folder) for seed in (0, 1)]
    x, y = members[0].datamodule.splits["train"][torch.arange(8)]
    black, white = members[0].datamodule.black_and_white()
    images = (x - black) / (white - black)
    seen, said = Teacher(str(teacher))(images, F.one_hot(y, 10).float())
    expected = torch.stack([one.model(x).softmax(dim=1) for one in members]).mean(dim=0)
    assert torch.equal(seen, images)
    torch.testing.assert_close(said, expected, rtol=1e-3, atol=1e-4)
    pupil = run(*digits, "augmentation=[flip,distillation]", f"augmentation.distillation.run={teacher}").folder
    shutil.rmtree(teacher)
    assert Run(pupil).evaluate()["test/acc"] > 0.5


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=mlp", "data=digits", "data.num_train=4"], ""),
        (["model=xor"], "learned from rows of 2 numbers, and these have 64; name a run on images of the same size"),
    ],
    ids=["single", "other rows"],
)
def test_a_teacher_of_other_data_is_refused(overrides: list[str], sentence: str, run: Callable[..., Finished]) -> None:
    teacher = Teacher(str(run(*overrides, "trainer.max_epochs=1", "~callbacks.figures").folder))
    x, y = torch.zeros(3, 1, 8, 8), torch.zeros(3, 10)
    if not sentence:
        assert teacher(x, y)[1].sum(dim=1).tolist() == pytest.approx([1.0] * 3)
        with pytest.raises(UserError, match=r"gives \(10,\) probabilities a row, and these data have \(9,\)"):
            teacher(x, y[:, :9])
        return
    with pytest.raises(UserError, match=re.escape(sentence)):
        teacher(x, y)
