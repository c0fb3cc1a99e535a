"""Folders of classes, with images in them: FOLDER/CLASS/NAME.png, or FOLDER/train/CLASS/NAME.png and so on."""

import logging
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from kindling.data.divided import WORDS
from kindling.data.pictures import IMAGES
from kindling.data.splits import SplitName
from kindling.errors import UserError, shown, some

log = logging.getLogger(__name__)


@dataclass
class Images:
    """Each with its path in the folder, its class, and the split that its folder says, if any."""

    names: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[SplitName | None] = field(default_factory=list)


@dataclass
class Content:
    """Of one folder, in the order of names; what begins with a dot is left out."""

    folders: list[str]
    images: list[str]
    others: list[str]


class ClassFolders:
    """What is in the folder `root`.

    Raises:
        UserError: where it does not exist, or its images are not in folders of classes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.named = f"data.path={root}"
        self.images = Images()
        self.left_out: list[str] = []
        if not root.is_dir():
            there = "is a file, where a folder is needed" if root.exists() else "there is no such folder"
            raise UserError(f"{self.named}: {there}")
        self.real = os.path.realpath(root)
        splits = self._splits()
        for name, split in splits.items():
            self._take(name, split)
        if not splits:
            self._take("", None)
        if self.left_out:
            log.warning(
                "WARNING: %d files in %s are left out, which are no images in a class folder: %s",
                len(self.left_out),
                root,
                some(map(shown, self.left_out), length=100),
            )

    def _splits(self) -> dict[str, SplitName]:
        """The folders that are those of splits; none where they are those of classes."""
        folders = self._look("").folders
        found = {name: WORDS[name.lower()] for name in folders if name.lower() in WORDS}
        if not any(self._look(name).folders for name in found) and (len(found) < len(folders) or not folders):
            return {}  # a class may be called train
        others = [name for name in folders if name not in found]
        if others:
            raise UserError(f"{self.named}: has {shown(others[0])} beside {next(iter(found))}, of which one is a split")
        if "train" not in found.values():
            raise UserError(f"{self.named}: has {some(found)}, and no folder train")
        for split in found.values():
            if len(same := [name for name in found if found[name] == split]) > 1:
                raise UserError(f"{self.named}: {' and '.join(same)} are the same split")
        return found

    def _take(self, base: str, split: SplitName | None) -> None:
        """The class folders in one of the splits, or in `root` itself."""
        found = self._look(base)
        where = f"{self.named}: {base or 'the folder'}"
        if not found.folders:
            raise UserError(f"{where} holds no folders of classes; CLASS/NAME.png is needed in it")
        self.left_out += [within(base, name) for name in [*found.images, *found.others]]
        for label in found.folders:
            folder = within(base, label)
            inside = self._look(folder)
            if inside.folders:
                raise UserError(
                    f"{self.named}: {shown(within(folder, inside.folders[0]))} is a folder in the folder of a "
                    "class, which should hold images alone"
                )
            if not inside.images:
                raise UserError(f"{self.named}: {shown(folder)} holds no images ({some(sorted(IMAGES))})")
            self.left_out += [within(folder, name) for name in inside.others]
            self.images.names += [within(folder, name) for name in inside.images]
            self.images.classes += [label] * len(inside.images)
            self.images.splits += [split] * len(inside.images)

    def _look(self, base: str) -> Content:
        content = Content([], [], [])
        with os.scandir(self.root / base) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = within(base, entry.name)
                if entry.name.startswith("."):
                    continue
                if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in entry.name):
                    raise UserError(
                        f"{self.named}: {shown(name)} has control characters in its name, or no text at all"
                    )
                real = os.path.realpath(entry.path) if entry.is_symlink() else self.real
                if os.path.commonpath([real, self.real]) != self.real:
                    raise UserError(f"{self.named}: {shown(name)} is a link that leads out of the folder")
                if entry.is_dir():
                    content.folders.append(entry.name)
                elif entry.is_file() and Path(entry.name).suffix.lower() in IMAGES:  # a pipe would wait
                    content.images.append(entry.name)
                else:
                    content.others.append(entry.name)
        return content


def within(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
