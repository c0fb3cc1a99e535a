"""Train a model: python train.py [GROUP=OPTION ...] [KEY=VALUE ...]. See README.md and --help."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from kindling.overrides import check_command_line


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    from kindling.train import train  # here, not above: torch is imported only once the config has composed

    return train(cfg)


if __name__ == "__main__":
    check_command_line(Path(__file__).parent / "conf", "train", sys.argv[1:])
    main()
