"""A config from elsewhere builds nothing but what a run is made of, and writes nowhere but where the user said."""

import sys
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from conftest import CONF, compose_config, options
from kindling.errors import UserError
from kindling.trust.confinement import confined
from kindling.trust.targets import problems

FILES = [(folder.name, name) for folder in sorted(CONF.iterdir()) if folder.is_dir() for name in options(folder.name)]


@cache
def _composed(*overrides: str) -> Any:
    return OmegaConf.to_container(compose_config(*overrides, "run_dir=/old/run"), resolve=True)


def composed(*overrides: str) -> dict[str, Any]:
    return deepcopy(_composed(*overrides))


def finished(node: Any) -> Any:
    """With a number wherever there is an interpolation."""
    if isinstance(node, dict):
        return {key: finished(child) for key, child in node.items()}
    return 0 if isinstance(node, str) and "${" in node else node


@pytest.mark.parametrize(("group", "name"), [file for file in FILES if file[0] != "sweep"])  # no part of a run
def test_every_shipped_config_is_trusted(group: str, name: str) -> None:
    assert problems({group: finished(OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml")))}) == []


@pytest.mark.parametrize(("group", "name"), [file for file in FILES if file[0] in ("callbacks", "debug", "logger")])
def test_every_shipped_part_that_writes_stays_in_its_folder(group: str, name: str, tmp_path: Path) -> None:
    needed = ["callbacks.freeze.modules=net.1"] if name == "freeze" else []
    config = composed(f"{group}={name}", *needed)
    moved = confined(config, tmp_path, tmp_path / "data")
    assert problems(config) == problems(moved) == []
    assert "/old/run" not in str(moved)
    assert str(tmp_path) in str(moved)


ALLOWED = """
    kindling.models.xor.XOR kindling.data.csv.CSV kindling.models.losses.BrierLoss kindling.running.loggers.wandb_logger
    torch.nn.Linear torch.nn.modules.linear.Linear torch.optim.AdamW torch.optim.lr_scheduler.OneCycleLR
    torchmetrics.Accuracy torchmetrics.classification.MulticlassAccuracy torchvision.transforms.v2.Resize
    lightning.Trainer lightning.pytorch.callbacks.EarlyStopping lightning.pytorch.loggers.TensorBoardLogger
    lightning.pytorch.profilers.SimpleProfiler lightning.pytorch.strategies.DDPStrategy
    lightning.pytorch.plugins.MixedPrecision
""".split()  # noqa: SIM905

REFUSED = """
    os.system builtins.eval builtins.exec subprocess.Popen importlib.import_module shutil.rmtree pathlib.Path
    functools.partial pickle.loads runpy.run_path antigravity.x kindling.running.train.sys.exit
    kindling.config.checks.get_object kindling.running.train.train kindling.checkpoints.write.AtomicCheckpointIO
    kindling.running.loggers.os.system kindling.running.loggers.sys.exit kindling.running.loggers.finished_loggers
    kindling.running.figures.Path kindling.models.base.partial kindling.models.xor.looks_linear
    kindling.models.schedule.UserError kindling.models.xor.XOR.load_from_checkpoint kindling.data.loader.DataLoader
    kindling.data.mnist.torchvision.datasets.MNIST torch.load torch.hub.load torch.save torch.compile
    torch.utils.cpp_extension.load torch.jit.load torch.nn.modules.module.os torch.nn.modules.module.os.system
    torch.nn.modules.module.functools.partial torch.nn.Module.__init__ torch.nn.Module.__subclasses__
    torch.nn.functional.relu torch.nn.utils.prune.L1Unstructured torch.optim.optimizer.defaultdict
    torch.optim.lr_scheduler.bisect_right torch.optim.swa_utils.AveragedModel
    torchmetrics.image.fid.FrechetInceptionDistance torchmetrics.text.bert.BERTScore
    torchmetrics.classification.base.Metric torchvision.transforms.v2.Lambda
    torchvision.transforms.v2.functional.resize torchvision.datasets.MNIST hydra.utils.get_method
    hydra.utils.get_class hydra.utils.instantiate hydra.utils.call lightning.pytorch.callbacks.LambdaCallback
    lightning.pytorch.callbacks.ModelPruning lightning.pytorch.callbacks.lambda_function.LambdaCallback
    lightning.pytorch.callbacks.SpikeDetection lightning.pytorch.loggers.WandbLogger
    lightning.pytorch.loggers.MLFlowLogger lightning.pytorch.plugins.AsyncCheckpointIO
    lightning.pytorch.plugins.environments.LightningEnvironment lightning.pytorch.cli.LightningCLI
    lightning.pytorch.strategies.DeepSpeedStrategy lightning.LightningModule.load_from_checkpoint
    lightning.seed_everything kindling.models. .os.system ..os.system os kindling/models/xor.XOR
    kindling.models.xor:XOR __main__.x kindling.models.no_such_file.Model kindling.models.xor.NoSuchModel
    kindling.models.build.construct kindling.data.setup.set_up_once kindling.population.model.Population
    kindling.reopening.run.Run kindling.running.record.Record kindling.checkpoints.last.Path
""".split()  # noqa: SIM905


@pytest.mark.parametrize("target", ALLOWED)
def test_what_a_run_is_made_of_may_be_named(target: str) -> None:
    assert problems({"part": {"_target_": target}}) == []


PLACES: dict[str, Any] = {
    "model": lambda node: {"model": node},
    "model.parts.1": lambda node: {"model": {"_target_": "torch.nn.Sequential", "parts": [1, node]}},
    "model._args_.0.0": lambda node: {"model": {"_target_": "torch.nn.Sequential", "_args_": [[node]]}},
    "trainer.deep.er": lambda node: {"trainer": {"_recursive_": False, "deep": {"er": node}}},
}


@pytest.mark.parametrize("target", REFUSED)
def test_nothing_else_may_be_named_anywhere(target: str) -> None:
    before = set(sys.modules)
    for path, place in PLACES.items():
        (problem,) = problems(place({"_target_": target, "_partial_": True}))
        assert problem.startswith(f"{path}._target_={target}: ")
        assert problem.isprintable()
    ours = ("kindling", "torch", "torchmetrics", "torchvision", "lightning")
    assert {name.partition(".")[0] for name in set(sys.modules) - before} <= {*ours, *sys.stdlib_module_names}
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "target", [None, 3, ["os.system"], {"_target_": "os.system"}, "", " ", "os.system\n", "\u043e\u0455.system"]
)
def test_a_target_that_is_no_name_is_refused(target: object) -> None:
    found = problems({"a": {"_target_": target}})
    assert all(problem.isprintable() for problem in found)
    assert any(problem.startswith("a._target_=") for problem in found)


def test_every_problem_is_told_by_its_full_key() -> None:
    config = composed("model=xor")
    config["model"]["_target_"] = "os.system"
    config["callbacks"]["x"] = {"_target_": "builtins.eval", "_args_": ["1"]}
    assert sorted(problems(config)) == [
        "callbacks.x._target_=builtins.eval: a checkpoint may not name this",
        "model._target_=os.system: a checkpoint may not name this",
    ]


def test_an_alias_is_told_by_what_it_stands_for() -> None:
    assert problems({"x": {"_target_": "kindling.models.base.partial"}}) == [
        "x._target_=kindling.models.base.partial: a checkpoint may not name functools.partial"
    ]


def test_the_users_own_package_is_trusted_once_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_project").mkdir()
    (tmp_path / "my_project" / "nets.py").write_text("from os import system, DirEntry\nclass Net: pass\n")
    (tmp_path / "my_project_of_theirs.py").write_text("class Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = {"model": {"_target_": "my_project.nets.Net"}}
    assert problems(own) == [
        "model._target_=my_project.nets.Net: a checkpoint may not name this; "
        "if it is yours, name its package in allowed_packages"
    ]
    assert "my_project" not in sys.modules
    assert problems(own, ["my_project"]) == []
    for target in ("my_project.nets.system", "my_project.nets.DirEntry", "my_project_of_theirs.Net", "os.system"):
        assert len(problems({"model": {"_target_": target}}, ["my_project"])) == 1
    assert "my_project_of_theirs" not in sys.modules


def test_a_package_of_the_user_that_cannot_be_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('two\\nlines')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert problems({"model": {"_target_": "broken.Net"}}, ["broken"]) == [
        "model._target_=broken.Net: cannot be imported (two\\nlines)"
    ]


def test_a_checkpoint_does_not_say_where_wandb_sends() -> None:
    node = {"_target_": "kindling.running.loggers.wandb_logger", "save_dir": "x", "project": "kindling"}
    assert problems({"logger": {"wandb": node}}) == []
    assert problems({"logger": {"wandb": {**node, "entity": "them", "_args_": []}}}) == [
        "logger.wandb.entity: a checkpoint may not set this",
        "logger.wandb._args_: a checkpoint may not set this",
    ]


def holding_itself() -> dict[str, Any]:
    config: dict[str, Any] = {}
    config["again"] = config
    return config


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"a": {"b": "${oc.env:HOME}"}}, "a.b=${oc.env:HOME}: a finished config has values, not interpolations"),
        ({"a": ["${oc.create:'{_target_: os.system}'}"]}, "a.0=${oc.create:"),
        ({"a": {"_target_": "${x}"}}, "a._target_=${x}: a finished config"),
        ({"a": (1, 2)}, "a: is a tuple, which no config file can hold"),
        ({"a": {("b",): 1}}, "a: has a key that is no name"),
        ({"a": sys}, "a: is a module, which no config file can hold"),
        ([], "config: is a list, not a section with keys"),
        (OmegaConf.create({"a": 1}), "config: is a DictConfig, not a section with keys"),
        (holding_itself(), "the config is too large, nested too deeply, or holds itself"),
    ],
)
def test_what_is_no_plain_and_finished_config_is_refused(config: Any, expected: str) -> None:
    (problem,) = problems(config)
    assert expected in problem


# Folders.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("callbacks.best.dirpath", "/etc"),
        ("callbacks.best.dirpath", "/old/run/../../etc"),
        ("callbacks.best.dirpath", "/old/runs"),
        ("callbacks.best.dirpath", "relative/to/wherever"),
        ("callbacks.best.dirpath", "~/x"),
        ("callbacks.best.dirpath", "s3://bucket/x"),
        ("callbacks.best.dirpath", "filecache::file:///x"),
        ("callbacks.best.filename", "../../x"),
        ("callbacks.best.filename", "/x"),
        ("callbacks.figures.run_dir", "/home"),
        ("logger.tensorboard.save_dir", "../x"),
        ("trainer.default_root_dir", "/tmp"),
        ("trainer.default_root_dir", "/old/run/link"),
        ("trainer.default_root_dir", "/old/run/a\0b"),
        ("trainer.profiler", {"dirpath": ["/old/run", {"x": "/tmp"}]}),
    ],
)
def test_a_path_out_of_the_folder_is_refused(key: str, value: object, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path)
    config = composed("model=xor", "logger=tensorboard")
    node = config
    for part in key.split(".")[:-1]:
        node = node[part]
    node[key.rpartition(".")[2]] = value
    with pytest.raises(UserError) as info:
        confined(config, tmp_path / "run", tmp_path)
    assert str(info.value).startswith(key)
    assert str(info.value).endswith(f": leads out of the run folder {tmp_path / 'run'}; set it on the command line")


def test_a_run_moves_to_where_the_user_says(tmp_path: Path) -> None:
    config = composed("model=xor", "logger=tensorboard")
    moved = confined(config, tmp_path, Path("data"))
    assert moved["run_dir"] == str(tmp_path)
    assert moved["callbacks"]["best"]["dirpath"] == f"{tmp_path}/checkpoints"
    assert moved["callbacks"]["best"]["monitor"] == "val/loss"
    assert moved["logger"]["tensorboard"]["version"] == ""
    assert config == composed("model=xor", "logger=tensorboard")


def test_an_argument_without_a_name_might_be_a_path(tmp_path: Path) -> None:
    node = {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "_args_": ["x"]}
    with pytest.raises(
        UserError, match=r"callbacks\.best\._args_: what an argument without a name is for cannot be told"
    ):
        confined({"callbacks": {"best": node}}, tmp_path, tmp_path)


def test_a_trainer_without_a_folder_gets_that_of_the_run(tmp_path: Path) -> None:
    config = composed("model=xor")
    config["trainer"]["default_root_dir"] = None
    assert confined(config, tmp_path, tmp_path)["trainer"]["default_root_dir"] == str(tmp_path)
    del config["trainer"]["default_root_dir"]
    assert confined(config, tmp_path, tmp_path)["trainer"]["default_root_dir"] == str(tmp_path)


@pytest.mark.parametrize("old", ["", "/", "etc", None, 3, "../.."])
def test_a_strange_run_folder_leads_nowhere(old: object, tmp_path: Path) -> None:
    config = {"run_dir": old, "callbacks": {"best": {"dirpath": "/etc/x"}}}
    try:
        moved = confined(config, tmp_path, tmp_path)
    except UserError:
        return
    assert Path(moved["callbacks"]["best"]["dirpath"]).is_relative_to(tmp_path)


def test_data_are_read_from_where_this_machine_keeps_them(tmp_path: Path) -> None:
    config = composed("model=mlp", "data.data_dir=/theirs")
    assert confined(config, tmp_path, Path("/ours"))["data"]["data_dir"] == "/ours"
    table = composed("model=linear_regression", "data=csv", "data.path=/tables/a.csv", "data.target=y")
    assert confined(table, tmp_path, Path("/ours"))["data"]["path"] == "/tables/a.csv"
