"""Mistakes on the command line: one message, every mistake in it, before torch is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CONF, ROOT, options
from kindling.config.command_line import check_command_line

DASHES = "a setting is written KEY=VALUE, without dashes"
QUOTES = "needs quotes around the value, and around it all for the shell: "
TILDE = "error: data.path=~/p.csv: a shell leaves ~ as it is here"
LOCAL = ["hydra/launcher=submitit_local"]
THERE = "hydra.launcher.timeout_min is there already; leave out the +"


def message(*argv: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", list(argv))
    assert isinstance(exit_info.value.code, str)
    return exit_info.value.code


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["model=mpl"], "error: model=mpl: no such option; did you mean mlp? (model is one of "),
        (["modell=mlp"], "error: modell: no such key; did you mean model?"),
        (["optimizer.lrr=1"], "error: optimizer.lrr: no such key; did you mean optimizer.lr?"),
        (["lr=0.1"], "error: lr: no such key; did you mean optimizer.lr?"),
        (["model=xor", "model.dropout=0.1"], "error: model.dropout: no such key"),
        (["optimizer.lr=abc"], "error: optimizer.lr=abc: should be a number, like 0.004"),
        (["optimizer.lr=nan"], "error: optimizer.lr=nan: should be a number, like 0.004"),
        (["trainer.max_epochs=ten"], "error: trainer.max_epochs=ten: should be a number, like 10"),
        (["data.batch_size=true"], "error: data.batch_size=true: should be a number, like 128"),
        (["model.hidden_features=64"], "error: model.hidden_features=64: should be a list, like [256]"),
        (["optimizer.lr=[1,2]"], "error: optimizer.lr=[1, 2]: should be a number, like 0.004"),
        (["trainer=5"], "error: trainer=5: no such option (trainer is one of "),
        (["+foo=1"], "error: foo: no such key"),
        (["+foo.bar=1"], "error: foo.bar: no such key"),
        (["data=csv", "data.target=y"], "error: data.path: a value is required, as in data.path=..."),
        (["logger=[tensorboard,wandbb]"], "error: logger=wandbb: no such option; did you mean wandb?"),
        (["a b"], "error: a b: not of the form key=value"),
        (["seed=0,1"], "error: seed=0,1: several values need the flag -m"),
        (["-m", "seed=0,abc"], "error: seed=abc: should be a number, like 0"),
        (["-m", "model=xor,mpl"], "error: model=mpl: no such option; did you mean mlp?"),
        (["hydra.run.dirr=x"], "error: hydra.run.dirr: no such key; did you mean hydra.run.dir?"),
        (["data=csv", "data.path=~/p.csv", "data.target=y"], f"{TILDE}; write data.path={Path.home() / 'p.csv'}"),
        (
            ["data=csv", "data.path=a (1).csv", "data.target=y"],
            f"error: data.path=a (1).csv: {QUOTES}'data.path=\"a (1).csv\"'",
        ),
        (["data=cvs", "data.path=a", "data.target=y"], "error: data=cvs: no such option; did you mean csv?"),
        (["=3"], "error: =3: not of the form key=value"),
        (["optimizer.lr"], "error: optimizer.lr: not of the form key=value"),
        (["+optimizer.lr=1"], "error: +optimizer.lr=1: optimizer.lr is there already; leave out the +"),
        (["+model=xor"], "error: +model=xor: there is one already; leave out the +"),
        (["+hydra/launcher=processes"], "error: +hydra/launcher=processes: there is one already; leave out the +"),
        (["-m", *LOCAL, "+hydra.launcher.timeout_min=3"], f"error: +hydra.launcher.timeout_min=3: {THERE}"),
        (["-m", *LOCAL, "hydra.launcher.timeout_mn=3"], "error: hydra.launcher.timeout_mn: no such key; did you mean"),
        (
            ["-m", *LOCAL, "hydra.launcher.timeout_min=x"],
            "error: hydra.launcher.timeout_min=x: Value 'x' of type 'str'",
        ),
        (
            ["-m", "hydra.launcher.n_jobs=2"],
            "error: hydra.launcher.n_jobs=2: does nothing without a launcher; give one too",
        ),
        (["-m", "+hydra.launcher.n_jobs=2"], "error: +hydra.launcher.n_jobs=2: does nothing without a launcher"),
        (["--optimizer.lr=0.01"], f"error: --optimizer.lr=0.01: {DASHES}: optimizer.lr=0.01"),
        (["--optimizer.lr", "0.01"], f"error: --optimizer.lr: {DASHES}: optimizer.lr=0.01"),
        (["-lr=0.1"], f"error: -lr=0.1: {DASHES}: lr=0.1"),
        (["-model=xor"], f"error: -model=xor: {DASHES}: model=xor"),
        (["-model", "xor"], "error: --multirun/-m: ignored explicit argument 'odel'; "),
        (["--info", "foo"], "error: --info/-i: invalid choice: 'foo'"),
        (["--experimental-rerun", "x"], "error: --experimental-rerun: needs a pickle, which no run leaves behind; "),
        (["--resolve"], "error: --resolve: goes with --cfg job"),
        (["--package", "optimizer"], "error: --package: goes with --cfg job"),
        (["--cfg", "hydra", "--resolve"], "error: --resolve: goes with --cfg job or --cfg all"),
        (["-m", "--cfg", "job"], "error: --cfg and -m: do not go together; leave out -m"),
        (["--run", "-m"], "error: --run and -m: do not go together; leave out -m"),
        (["-sc"], "error: --shell-completion: goes with install=SHELL"),
        (["-sc", "install=foo"], "error: --shell-completion: goes with install=SHELL"),
        (["--info", "defaults", "model=mpl"], "error: model=mpl: no such option; did you mean mlp?"),
        (["scheduler=null"], "error: scheduler=null: no such option (scheduler is one of constant, cosine, "),
        (["logger=[]"], "error: logger=[]: no such option (logger is one of csv, mlflow, none, tensorboard, wandb)"),
        (["-m", "seed=0,1", "hydra.sweep.dir=/dev/null/x"], "error: hydra.sweep.dir=/dev/null/x: cannot be written to"),
        (["hydra.run.dir=/dev/null/x"], "error: hydra.run.dir=/dev/null/x: cannot be written to (Not a directory)"),
    ],
)
def test_a_mistake_is_told_in_one_line(argv: list[str], expected: str) -> None:
    text = message(*argv)
    assert text.startswith(expected)
    assert "\n" not in text


def test_all_mistakes_are_told_together() -> None:
    text = message("optimizer.lrr=3", "optimizer.lr=abc", "model=mpl", "+foo=3", "data.batch_size=true")
    assert text.splitlines()[0] == "error: 5 mistakes in the configuration"
    assert [line.split(":")[0].split("=")[0].strip() for line in text.splitlines()[1:]] == [
        "model",
        "optimizer.lrr",
        "optimizer.lr",
        "foo",
        "data.batch_size",
    ]


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["model=xor", "optimizer=lbfgs", "optimizer.max_iter=5"],
        ["logger=[tensorboard,wandb]", "callbacks=none", "debug=limit"],
        ["trainer.devices=auto", "data.batch_size=null", "optimizer.lr=1"],
        ["-m", "optimizer.lr=1e-3,1e-2", "seed=range(5)", "model=mlp,xor"],
        ["-m", "optimizer.lr=tag(log,interval(1e-4,1e-1))"],
        ["trainer.gradient_clip_val=1", "++trainer.max_epochs=3", "~optimizer.weight_decay", "~loss.class_weights"],
        ["experiment=null", "debug=null", "trainer.max_epochs=2"],
        ["+callbacks.stop._target_=lightning.pytorch.callbacks.EarlyStopping", "+callbacks.stop.monitor=val/loss"],
        ["debug=fast_dev_run", "trainer.fast_dev_run=3"],
        ["-m", "model=glob(x*)"],
        ["data=csv", "data.path=a.csv", "data.target=[a,b]"],
        ["experiment=mnist", "--cfg", "job"],
        ["experiment=mnist", "-c", "job", "--resolve", "-p", "optimizer"],
        ["-cjob"],
        ["--info", "defaults"],
        ["--multirun", "hydra/launcher=slurm", "hydra.launcher.timeout_min=3", "++hydra.launcher.mem_gb=8"],
    ],
)
def test_what_is_right_passes(argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_command_line(CONF, "train", argv)
    assert list(tmp_path.iterdir()) == []


def test_help_is_the_usage_and_every_option_of_every_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", ["--help"], "Usage: ...")
    assert not exit_info.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Usage: ..."
    text = re.sub(r"\n {6,}", " ", "\n".join(lines))
    shown = dict(re.findall(r"^  ([\w/]+)(?: \(.*\))?: (.*)$", text, flags=re.MULTILINE))
    groups = {file.parent.relative_to(CONF).as_posix() for file in CONF.glob("*/**/*.yaml")} - {"hydra/sweeper"}
    assert {group: names.replace("*", "") for group, names in shown.items()} == {
        group: ", ".join(options(group)) for group in groups
    }


def test_the_check_does_not_import_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from kindling.config.command_line import check_command_line;"
        "check_command_line(Path('conf'), 'train', ['model=xor']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
