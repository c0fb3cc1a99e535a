"""What augmentation makes of images, by numbers; where it acts, and where it does not."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from conftest import Finished, choices, compose_config
from kindling import Run, compose, train
from kindling.data import augmentation as transforms
from kindling.data.augmentation import Augmentation
from kindling.data.images import Digits
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression
from kindling.errors import UserError
from kindling.random_state import seeded
from kindling.running.build import build
from test_resume import assert_same, interrupted, resume  # noqa: F401  # a fixture
from test_train import weights

QUICK = ["data=digits", "trainer=cpu", "~callbacks.figures"]
CLASSES = [str(digit) for digit in range(10)]


class Margin(nn.MultiMarginLoss):
    def __init__(self, label_smoothing: float, class_weights: None) -> None:
        super().__init__()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def made(name: str, **arguments: object) -> nn.Module:
    node = compose_config(f"augmentation={name}").augmentation[name]
    return getattr(transforms, node._target_.rpartition(".")[2])(
        **{key: value for key, value in {**node, **arguments}.items() if key != "_target_"}
    )


def augmented(x: Tensor, name: str, **arguments: object) -> Tensor:
    return Augmentation({name: made(name, **arguments)})(x, torch.arange(len(x)) % 10, Multiclass(CLASSES))[0]


@pytest.mark.parametrize("name", [name for name in choices("augmentation") if name != "distillation"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 12, 17)], ids=["grey", "colour"])
def test_each_image_of_a_batch_gets_a_draw_of_its_own(name: str, shape: tuple[int, ...]) -> None:
    x = torch.rand(1, *shape).repeat(64, 1, 1, 1)
    if name in ("mixup", "cutmix"):
        x[32:] = 0  # what is to be mixed differs
    before = x.clone()
    torch.manual_seed(0)
    after = augmented(x, name)
    assert after.shape == x.shape
    assert after.dtype == x.dtype
    assert torch.equal(x, before)  # the rows of a data set in memory stay as they are
    assert len(after[:32].unique(dim=0)) > (1 if name == "flip" else 8)
    assert after.min() >= 0
    assert after.max() <= 1
    torch.manual_seed(0)
    assert torch.equal(augmented(x, name), after)


@pytest.mark.parametrize(("vertical", "dim"), [(False, -1), (True, -2)])
def test_a_share_of_the_images_is_flipped(vertical: bool, dim: int) -> None:
    x = torch.rand(4000, 1, 4, 5)
    after = augmented(x, "flip", p=0.3, vertical=vertical)
    flipped = (after == x.flip(dim)).all(dim=(1, 2, 3))
    assert flipped.double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(after[~flipped], x[~flipped])


def test_a_crop_is_the_image_moved_by_whole_pixels() -> None:
    (image,) = x = torch.rand(1, 2, 6, 8)
    padded = nn.functional.pad(image, (2, 2, 2, 2))
    parts = {(i, j): padded[:, i : i + 6, j : j + 8] for i, j in itertools.product(range(5), repeat=2)}
    found = [
        next(place for place, part in parts.items() if torch.equal(part, after))
        for after in augmented(x.repeat(500, 1, 1, 1), "crop", padding=2)
    ]
    assert set(found) == set(parts)


def test_affine_is_what_its_numbers_say() -> None:
    still = {"degrees": 0, "translate": [0, 0], "scale": [1, 1], "shear": 0}
    x = torch.rand(9, 3, 20, 30)
    torch.testing.assert_close(augmented(x, "affine", **still), x)
    half = augmented(x, "affine", **{**still, "scale": [0.5, 0.5]})
    assert not half[:, :, :5].any()
    assert not half[:, :, :, :7].any()
    assert half[:, :, 5:15, 8:22].all()
    torch.testing.assert_close(half[:, :, 5:15, 8:22].mean(), x[:, :, :, 1:-1].mean(), atol=0.02, rtol=0)
    dot = torch.zeros(500, 1, 41, 81)
    dot[:, :, 20, 70] = 1  # 30 to the right of the middle: it turns on a circle of pixels, whatever the image's shape

    def places(**arguments: object) -> Tensor:
        after = augmented(dot, "affine", **{**still, **arguments}).squeeze(1)
        rows, columns = torch.arange(41.0) - 20, torch.arange(81.0) - 40
        mass = after.sum(dim=(1, 2))
        return (
            torch.stack([(after * rows[:, None]).sum(dim=(1, 2)), (after * columns).sum(dim=(1, 2))], dim=1)
            / mass[:, None]
        )

    turned = places(degrees=30)
    torch.testing.assert_close(turned.norm(dim=1), torch.full((500,), 30.0), atol=0.5, rtol=0)
    angles = torch.atan2(turned[:, 0], turned[:, 1]).rad2deg()
    assert angles.min() < -28
    assert angles.max() > 28
    assert angles.abs().max() < 31
    moved = places(translate=[0.1, 0.2]) - torch.tensor([0.0, 30.0])
    torch.testing.assert_close(moved.abs().amax(dim=0), torch.tensor([8.2, 8.1]), atol=0.3, rtol=0)
    dot = dot.roll((10, -30), dims=(2, 3))  # 10 below the middle: slanted by 45 degrees, it moves by 10 at most
    slanted = places(shear=45)
    assert slanted[:, 1].abs().max().item() == pytest.approx(10, abs=0.5)
    torch.testing.assert_close(slanted[:, 0], torch.full((500,), 10.0), atol=0.3, rtol=0)


def test_elastic_moves_pixels_as_far_as_it_says() -> None:
    across = torch.linspace(0, 1, 60).expand(200, 1, 40, 60)  # a pixel's value is its place
    after = augmented(across, "elastic", alpha=0.03, sigma=0.1)
    moves = (after - across)[:, :, 8:-8, 12:-12]
    assert moves.std().item() == pytest.approx(0.03 * 60 / 59, rel=0.1)
    steps = moves.diff(dim=-1)  # a Gaussian's width of 6 pixels: neighbours move by nearly the same
    assert steps.std().item() == pytest.approx(0.03 / (6 * math.sqrt(2)), rel=0.15)
    torch.testing.assert_close(augmented(across, "elastic", alpha=0.0), across.contiguous())


def test_erasing_makes_a_box_of_its_area_black() -> None:
    after = augmented(torch.ones(3000, 3, 40, 40), "erasing", p=0.4, scale=[0.2, 0.2], ratio=[0.5, 2])
    gone = after == 0
    erased = gone.any(dim=(1, 2, 3))
    assert erased.double().mean().item() == pytest.approx(0.4, abs=0.03)
    assert gone[erased].double().mean().item() == pytest.approx(0.2, rel=0.02)
    rows, columns = (gone[erased].any(dim=dim)[:, 0].sum(dim=-1) for dim in (3, 2))
    assert torch.equal(gone[erased][:, 0].sum(dim=(1, 2)), rows * columns)  # it is a box
    assert (rows / columns).min() < 0.6
    assert (rows / columns).max() > 1.8
    assert gone[:, :, 0].any()
    assert gone[:, :, -1].any()
    assert gone[:, :, :, -1].any()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_mixes_images_and_classes_by_the_same_share(name: str) -> None:
    y = torch.arange(1000) % 10
    x = y.view(-1, 1, 1, 1).expand(-1, 3, 16, 16) / 10
    after, share = Augmentation({name: made(name, alpha=1.0, p=0.8)})(x, y, Multiclass(CLASSES))
    assert share.shape == (1000, 10)
    assert share.dtype == x.dtype
    torch.testing.assert_close(share.sum(dim=1), torch.ones(1000))
    torch.testing.assert_close(after.mean(dim=(1, 2, 3)), share @ torch.arange(10.0) / 10)
    assert (share.max(dim=1).values < 1).double().mean().item() == pytest.approx(0.8 * 0.9, abs=0.05)  # or of one class
    assert len(after.amax(dim=(1, 2, 3)).unique()) > 5
    if name == "mixup":
        assert len(share.max(dim=1).values.unique()) > 500  # a share of its own for each
    else:
        assert torch.equal((after * 10).round(), after * 10)  # of pixels that are one image's or the other's


def test_binary_and_continuous_targets_are_mixed_too() -> None:
    x = torch.rand(100, 1, 4, 4)
    _, share = Augmentation({"mixup": made("mixup")})(x, torch.arange(100) % 2, Binary(["no", "yes"]))
    assert share.shape == (100,)
    assert 0 < share.mean() < 1
    assert ((share > 0) & (share < 1)).any()
    _, values = Augmentation({"mixup": made("mixup")})(x, torch.rand(100, 2), Regression([0.0, 0], [1.0, 1]))
    assert values.shape == (100, 2)
    with pytest.raises(UserError, match="do not say how many classes"):
        Augmentation({"mixup": made("mixup")})(x, torch.arange(100))


def test_torchvisions_transforms_draw_for_each_image_too() -> None:
    x = torch.rand(1, 1, 8, 8).repeat(30, 1, 1, 1)
    after, _ = Augmentation({"turn": v2.RandomRotation(90)})(x, torch.zeros(30))
    assert len(after.unique(dim=0)) > 20


class Bright(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.min() >= 0
        assert x.max() <= 1.0001
        return torch.ones_like(x)


def digits(*names: str, **more: nn.Module) -> Digits:
    data = Digits(augmentation=Augmentation({**{name: made(name) for name in names}, **more}))
    data.setup()
    return data


def test_transforms_see_black_as_0_and_white_as_1() -> None:
    data = digits("crop")
    x, y = data.splits["train"][torch.arange(50)]
    outside = data.augment(x, y, Augmentation({"crop": made("crop", padding=9)}))[0]
    black, white = data.black_and_white()
    assert outside.min().item() == pytest.approx(black) == pytest.approx(x.min().item())
    assert (outside - black).abs().amin(dim=(1, 2, 3)).max() < 1e-5
    bright = digits(bright=Bright()).augment(x, y)[0]
    assert bright.min().item() == pytest.approx(white) == pytest.approx(x.max().item())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_images_keep_their_precision(dtype: torch.dtype) -> None:
    data = digits("crop", "affine", "elastic", "erasing")
    x, y = data.splits["train"][torch.arange(50)]
    assert data.augment(x.to(dtype), y)[0].dtype is dtype


def batches_of(*overrides: str) -> dict[str, list[Tensor]]:
    """What the model was given in each stage."""
    parts = build(
        compose_config(
            "data=digits", "trainer.max_epochs=1", "trainer=cpu", "callbacks=none", *overrides, "run_dir=unused"
        )
    )
    seen: dict[str, list[Tensor]] = {"train": [], "val": [], "test": []}
    forward = parts.model.forward

    def watched(x: Tensor) -> Tensor:
        stage = "train" if parts.trainer.training else "test" if parts.trainer.testing else "val"
        seen[stage].append(x)
        return forward(x)

    parts.model.forward = watched
    parts.trainer.fit(parts.model, datamodule=parts.datamodule)
    parts.trainer.test(parts.model, datamodule=parts.datamodule, verbose=False)
    return seen


@pytest.mark.parametrize("steps", ["auto", "1"])
def test_training_batches_are_changed_and_no_others(steps: str) -> None:
    plain = batches_of(f"steps_per_call={steps}")
    changed = batches_of("augmentation=[affine,erasing]", f"steps_per_call={steps}")
    assert not any(torch.equal(*pair) for pair in zip(plain["train"], changed["train"], strict=True))
    for stage in ("val", "test"):
        assert all(torch.equal(*pair) for pair in zip(plain[stage], changed[stage], strict=True))


def test_several_steps_a_call_stay_and_change_nothing(run: Callable[..., Finished]) -> None:
    shared = [*QUICK, "augmentation=[affine,mixup]", "trainer.max_epochs=2", "model.dropout=0.1"]
    done = [run(*shared, f"steps_per_call={steps}") for steps in ("1", "auto", "32")]
    for other in done[1:]:
        assert all(torch.equal(weights(done[0])[name], tensor) for name, tensor in weights(other).items())
        assert other.summary["metrics"] == done[0].summary["metrics"]


@pytest.mark.parametrize(
    ("overrides", "after"),
    [(["steps_per_call=1"], 60), ([], 3), (["population=2"], 4)],
    ids=["single steps", "several", "population"],
)
def test_a_run_goes_on_to_the_bit(
    overrides: list[str],
    after: int,
    run: Callable[..., Finished],
    interrupted: Callable[..., Finished],  # noqa: F811
) -> None:
    augmentation = "augmentation=[crop,affine,elastic,erasing,mixup,cutmix]"
    shared = [*QUICK, "data.batch_size=32", augmentation, "trainer.max_epochs=2", *overrides]
    shared += [] if "steps_per_call=1" in overrides else ["steps_per_call=9"]
    expected = run(*shared)
    assert_same(resume(run, interrupted(shared, after)), expected)


def test_a_population_is_augmented_for_each_member(tmp_path: Path) -> None:
    population = ["augmentation=[affine,mixup]", "population=3", f"run_dir={tmp_path}"]
    data = build(compose_config(*QUICK, *population)).datamodule
    x, y = (tensor[None].expand(3, *tensor.shape) for tensor in data.splits["train"][torch.arange(20)])
    after, share = data.augment(x, y)
    assert after.shape == x.shape
    assert share.shape == (3, 20, 10)
    assert not torch.equal(after[0], after[1])


@pytest.mark.parametrize("loss", ["cross_entropy", "brier"])
def test_it_learns_from_mixed_images(loss: str, run: Callable[..., Finished]) -> None:
    done = run(*QUICK, "augmentation=[affine,mixup]", f"loss={loss}", "trainer.max_epochs=15")
    assert done.summary["metrics"]["test/acc"] > 0.93
    last = pd.read_csv(done.folder / "metrics.csv").iloc[-1]
    assert last["train/acc"] > 0.6


@pytest.mark.slow
def test_augmentation_helps_where_images_are_few(run: Callable[..., Finished]) -> None:
    """Of the 5,000 bundled images of MNIST, moved by a pixel or two."""
    shared = ["data=mnist", "data.source=subset", "trainer=cpu", "trainer.max_epochs=12", "~callbacks.figures"]
    plain, moved = (run(*shared, *more).summary["metrics"] for more in ([], ["augmentation=affine"]))
    assert moved["test/acc"] > plain["test/acc"] + 0.005
    assert moved["test/loss"] < plain["test/loss"]


def test_evaluation_averages_over_augmented_copies(run: Callable[..., Finished]) -> None:
    done = run(*QUICK, "augmentation=[affine,mixup]", "trainer.max_epochs=5")
    plain, mean, again = (Run(done.folder).evaluate("test", tta=tta) for tta in (None, 4, 4))
    assert mean == again != plain
    assert plain == done.summary["metrics"]
    opened = Run(done.folder)
    data, model = opened.datamodule, opened.model
    x, y = data.splits["test"][torch.arange(len(data.splits["test"]))]
    augmentation = data.augmentation.without_relabelling()
    with seeded(opened.cfg.seed), torch.no_grad():
        chances = [model(x).softmax(dim=-1)]
        parts = x.split(128)  # as the loader gives them
        changed = [[data.augment(part, y[: len(part)], augmentation)[0] for _ in range(4)] for part in parts]
        chances += [model(torch.cat([copies[place] for copies in changed])).softmax(dim=-1) for place in range(4)]
    mean_chances = torch.stack(chances).mean(dim=0)
    accuracy = (mean_chances.argmax(dim=1) == y).double().mean().item()
    assert mean["test/acc"] == pytest.approx(accuracy)
    assert mean["test/loss"] == pytest.approx(nn.functional.nll_loss(mean_chances.log(), y).item(), rel=1e-4)


@pytest.mark.parametrize(
    "task",
    [Multiclass(CLASSES), Binary(["no", "yes"]), Regression([3.0, 4.0], [2.0, 5.0])],
    ids=lambda task: task.name,
)
def test_an_output_can_be_had_from_its_prediction(task: Multiclass) -> None:
    prediction = task.prediction(torch.randn(20, task.out_features))
    torch.testing.assert_close(task.prediction(task.output(prediction)), prediction)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["model=xor", "data=xor", "augmentation=flip"],
            "augmentation=flip: would do nothing, since kindling.data.xor.XOR takes no",
        ),
        (["augmentation=affine", "augmentation.affine.scale=[0,1]"], "augmentation.affine.scale=[0, 1]: should be"),
        (
            ["augmentation=flip", "augmentation.flip.p=1.5"],
            "augmentation.flip.p=1.5: should be less than or equal to 1",
        ),
        (["augmentation=flip", "+augmentation.turn=30"], "augmentation.turn=30: should be a section with a _target_"),
        (
            ["augmentation=mixup", "loss._target_=test_augmentation.Margin"],
            "augmentation.mixup: makes probabilities of classes, which Margin does not take",
        ),
        (
            ["+augmentation.x._target_=torch.Generator"],
            "augmentation.x: torch.Generator makes a Generator, and a Module is needed",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_said(overrides: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        train(compose([*QUICK, *overrides, f"run_dir={tmp_path / 'run'}"]))
    assert sentence in str(error.value)


def test_rows_that_are_no_images_are_refused() -> None:
    data = digits("flip")
    with pytest.raises(UserError, match=r"is for images.*\(64,\)"):
        data.augment(torch.rand(5, 64), torch.zeros(5))


class Weighted(Digits):
    def load(self) -> None:
        super().load()
        self.splits = {name: replace(split, weight=torch.ones(len(split))) for name, split in self.splits.items()}


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_does_not_leave_out_the_weights_of_rows(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("kindling.data.images.Digits", Weighted)
    build(compose_config(*QUICK, "augmentation=affine", f"run_dir={tmp_path}"))
    with pytest.raises(UserError, match=rf"augmentation.{name}: mixes rows, and those of Weighted have weights"):
        build(compose_config(*QUICK, f"augmentation={name}", f"run_dir={tmp_path}"))


def test_what_mixes_rows_is_told_from_what_changes_y_alone() -> None:
    every = {name: made(name) for name in ("flip", "mixup", "cutmix")} | {"teacher": transforms.Relabelling()}
    augmentation = Augmentation(every)
    assert augmentation.mixes == ["mixup", "cutmix"]
    assert augmentation.relabels == ["mixup", "cutmix", "teacher"]
    assert list(augmentation.without_relabelling().transforms) == ["flip"]


def test_labels_are_mixed_too() -> None:
    y = torch.randint(0, 2, (50, 3))
    task = Multilabel(["a", "b", "c"])
    _, mixed = Augmentation({"mixup": made("mixup", alpha=1.0)})(torch.rand(50, 1, 8, 8), y, task)
    assert mixed.shape == y.shape
    assert ((mixed > 0) & (mixed < 1)).any()
    assert task.truth(mixed).unique().tolist() == [0, 1]
    assert torch.equal(task.truth(y), y)
