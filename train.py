"""Train a model.

Usage: python train.py [GROUP=OPTION ...] [KEY=VALUE ...]

  python train.py                                 the MNIST MLP
  python train.py model=xor seed=7                another model, with its data
  python train.py optimizer=sgd optimizer.lr=0.1  another optimizer
  python train.py -m seed=0,1,2                   several runs; --help sweep
  python train.py model=xor population=1000       a thousand seeds at once
  python train.py resume=FOLDER                   go on with a run
  python train.py train=false init_from=RUN       test the weights of a run
  python train.py model=xor --tree                the config; --cfg job: as YAML
  python train.py --help GROUP                    or GROUP=OPTION, or KEY: more

Before a run: scripts/look.py (what the data are), find_lr.py (a learning rate).
After it: scripts/evaluate.py, predict.py, export.py RUN, runs.py (all runs as a
table), report.py (the page of a sweep).
Completion: eval "$(python train.py --shell-completion install=bash)"
More: --version, --hydra-help, README.md, docs/training.md, data.md, scale.md,
seeing.md
"""

import signal
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from kindling.config.command_line import check_command_line
from kindling.environment import import_before_torch
from kindling.process import outlive_output


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    import_before_torch(cfg)
    from kindling.sweep import job  # here, not above: torch is imported only once the config has composed

    return job.main(cfg)


if __name__ == "__main__":
    outlive_output()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the process at once, until there is something to save
    sys.argv[1:] = check_command_line(Path(__file__).parent / "conf", "train", sys.argv[1:], __doc__)
    main()
