"""A pupil learns what other nets say, whoever they are, and is its own net afterwards."""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from omegaconf import open_dict
from torch import Tensor, nn
from torchvision.datasets import FashionMNIST

from conftest import Finished
from kindling import Run, compose, train
from kindling.data.augmentation import Augmentation
from kindling.data.images import Digits
from kindling.data.tasks import Multiclass, Multilabel, Regression, Task
from kindling.errors import UserError
from kindling.reopening.teacher import Teacher

DIGITS = [str(digit) for digit in range(10)]
QUICK = ["trainer.max_epochs=1", "trainer=cpu", "~callbacks.figures"]


class Plain(L.LightningModule):
    """One of a user's own, of which nobody knows what its outputs are."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a net with all that is otherwise in training; its images are standardised by 40 of them."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    parts = ["model=mlp", "model.normalization=batch", "model.dropout=0.5", "data=digits", "data.num_train=40"]
    train(compose([*parts, *QUICK, "data.batch_size=8", f"run_dir={folder}"]))
    return folder


@pytest.fixture
def own(taught: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(taught, tmp_path / "own"))


def test_a_pupil_learns_what_the_members_of_its_teacher_say(run: Callable[..., Finished]) -> None:
    """Their mean, of images as they are and as an augmentation before it has made them; later it needs no teacher."""
    digits = ["data=digits", "model.dropout=0", "model.normalization=batch", *QUICK]
    teacher = run(*digits, "population=2").folder
    members = [Run(run(*digits, f"seed={seed}").folder) for seed in (0, 1)]
    x, y = members[0].datamodule.splits["train"][torch.arange(8)]
    black, white = members[0].datamodule.black_and_white()
    images = (x - black) / (white - black)
    seen, said = Teacher(str(teacher))(images, F.one_hot(y, 10).float(), Multiclass(DIGITS))
    expected = torch.stack([one.model(x).softmax(dim=1) for one in members]).mean(dim=0)
    assert torch.equal(seen, images)
    torch.testing.assert_close(said, expected, rtol=1e-3, atol=1e-4)
    best = Run(teacher)
    alone = Teacher(str(best.checkpoint))(images, F.one_hot(y, 10).float())[1]  # a checkpoint holds one net
    torch.testing.assert_close(alone, best.model(x).softmax(dim=1))
    pupil = run(*digits, "augmentation=[flip,distillation]", f"augmentation.distillation.run={teacher}").folder
    last = torch.load(teacher / "checkpoints" / "last.ckpt", weights_only=False)
    del last["best_weights"]
    torch.save(last, teacher / "checkpoints" / "last.ckpt")
    with pytest.raises(UserError, match=r"last.ckpt: has no best_weights of 2 nets"):
        Teacher(str(teacher))(images, F.one_hot(y, 10).float())
    shutil.rmtree(teacher)
    assert Run(pupil).evaluate()["test/acc"] > 0.5


def test_a_teacher_says_what_its_run_predicts(taught: Path) -> None:
    """The images are standardised as it has learned them, whatever the mean and the spread of the pupil's are."""
    pupil = Digits(augmentation=Augmentation({"distillation": Teacher(str(taught))}))
    pupil.setup()
    x, y = pupil.splits["test"][torch.arange(len(pupil.splits["test"]))]
    expected = Run(taught).predictions("test")
    assert Run(taught).described.black_and_white() != pytest.approx(pupil.black_and_white(), rel=1e-3)
    said = pupil.augment(x, y)[1]
    torch.testing.assert_close(said, torch.tensor(expected.filter(like="probability_").to_numpy()), atol=1e-5, rtol=0)


def test_rows_count_as_much_as_they_weigh_to_a_pupil_too(taught: Path) -> None:
    pupil = Digits(augmentation=Augmentation({"distillation": Teacher(str(taught))}))
    pupil.setup()
    x, y = pupil.splits["train"][torch.arange(8)]
    _, said, weight = pupil.augmented((x, y, (torch.arange(8) < 3).float()))
    model = Run(taught).model
    expected = model.loss_of(model(x)[:3], said[:3])
    torch.testing.assert_close(model.loss_of(model(x), said, weight), expected)


def test_a_net_that_looks_at_its_values_can_teach(taught: Path) -> None:
    teacher, x = Teacher(str(taught)), torch.rand(3, 1, 8, 8)
    expected = teacher(x, torch.zeros(3, 10))[1]
    forward = teacher.opened.model.forward
    teacher.opened.model.forward = lambda rows: forward(rows) if rows.std().item() > 0 else rows
    assert torch.equal(teacher(x, torch.zeros(3, 10))[1], expected)


def test_where_classes_are_not_known_their_number_counts(taught: Path) -> None:
    teacher, x, y = Teacher(str(taught)), torch.zeros(3, 1, 8, 8), torch.zeros(3, 10)
    assert teacher(x, y)[1].sum(dim=1).tolist() == pytest.approx([1.0] * 3)
    with pytest.raises(UserError, match=r"gives \(10,\) probabilities a row, and these data have \(9,\)"):
        teacher(x, y[:, :9])


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (Multiclass(list("ABCDEFGHIJ")), "the classes A, B, C, D, E, F, G, H, I, J (multiclass)"),
        (Multiclass(FashionMNIST.classes), f"the classes {', '.join(FashionMNIST.classes)} (multiclass)"),
        (Multiclass(DIGITS[::-1]), "the classes 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 (multiclass)"),
        (Multiclass(DIGITS[:9]), "the classes 0, 1, 2, 3, 4, 5, 6, 7, 8 (multiclass)"),
        (Multilabel(DIGITS), "the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 (multilabel)"),
        (Regression([0.0] * 10, [1.0] * 10), "10 outputs (regression)"),
    ],
    ids=["letters", "clothes", "order", "fewer", "labels", "numbers"],
)
def test_a_teacher_of_other_classes_is_refused(task: Task, told: str, taught: Path) -> None:
    with pytest.raises(UserError) as error:
        Teacher(str(taught))(torch.zeros(3, 1, 8, 8), torch.zeros(3, task.out_features), task)
    assert str(error.value) == (
        f"augmentation.distillation.run={taught}: knows the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 (multiclass), and "
        f"these data have {told}; name a run on data of the same classes, in the same order"
    )


@pytest.mark.parametrize("shape", [[1, 16, 4], [4, 4, 4], [1, 28, 28]], ids=["oblong", "colour", "larger"])
def test_a_teacher_of_other_images_is_refused(shape: list[int], taught: Path) -> None:
    with pytest.raises(UserError) as error:
        Teacher(str(taught))(torch.zeros(3, *shape), torch.zeros(3, 10), Multiclass(DIGITS))
    assert str(error.value) == (
        f"augmentation.distillation.run={taught}: learned from images of shape [1, 8, 8] (channels, height, width), "
        f"and these have {shape}; name a run on images of the same shape"
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"status": "running"}, "by its summary.json it is running, and not completed; name the folder of a completed"),
        ({"status": "interrupted"}, "by its summary.json it is interrupted, and not completed"),
        ({"population": None}, "summary.json: has no `population`, the number of its nets; name the folder of a run"),
        ({"population": "2"}, "summary.json: has no `population`"),
        ({"population": 3}, "last.ckpt: has no best_weights of 3 nets like that of best.ckpt"),
    ],
    ids=lambda value: " ".join(map(str, *value.items())) if isinstance(value, dict) else "",
)
def test_a_folder_of_another_origin_is_named(changes: dict[str, Any], sentence: str, own: Path) -> None:
    summary = json.loads((own / "summary.json").read_text())
    (own / "summary.json").write_text(json.dumps({**summary, **changes}))
    with pytest.raises(UserError, match=re.escape(sentence)) as error:
        Teacher(str(own))(torch.zeros(3, 1, 8, 8), torch.zeros(3, 10))
    assert str(own) in str(error.value)
    Teacher(str(own / "checkpoints" / "best.ckpt"))(
        torch.zeros(3, 1, 8, 8), torch.zeros(3, 10)
    )  # is known all the same


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("summary.json", "by its summary.json it is unreadable, and not completed"),
        ("checkpoints", "has no checkpoints/best.ckpt; name the folder of a run, or a checkpoint"),
        (".", "no such run folder or checkpoint"),
    ],
)
def test_a_folder_that_lacks_a_file_is_named(gone: str, sentence: str, own: Path) -> None:
    shutil.rmtree(own / gone) if (own / gone).is_dir() else (own / gone).unlink()
    with pytest.raises(UserError, match=re.escape(sentence)) as error:
        Teacher(str(own))(torch.zeros(3, 1, 8, 8), torch.zeros(3, 10))
    assert str(own) in str(error.value)


def test_a_run_on_a_table_is_refused(run: Callable[..., Finished]) -> None:
    teacher = run("model=xor", *QUICK).folder
    with pytest.raises(UserError, match=r"learned from XOR, whose rows are no images .*; name a run on images"):
        Teacher(str(teacher))(torch.zeros(3, 1, 1, 2), torch.zeros(3))


def test_a_run_of_a_module_of_ones_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kindling.reopening.teacher.Run", partial(Run, allowed_packages=[__name__]))
    cfg = compose(["data=digits", *QUICK, f"run_dir={tmp_path / 'run'}"])
    with open_dict(cfg):
        cfg.model = {"_target_": f"{__name__}.Plain"}
        cfg.allowed_packages = [__name__]
    train(cfg)
    with pytest.raises(UserError, match=r"its Plain is no SupervisedModule, .*; name a run of one"):
        Teacher(str(tmp_path / "run"))(torch.zeros(3, 1, 8, 8), torch.zeros(3, 10))
