"""The pickle inside a checkpoint, held against what a checkpoint needs before torch's unpickler sees it.

That one, restricted as it is, calls what allocates as much as a number asks for (`bytearray(10**11)`), and before torch
2.10 it sets items in what is no dict, which corrupts memory (GHSA-63cw-57p8-fm3p). And a dictionary key of a million
nested tuples crashes Python itself.
"""

import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kindling.errors import UserError, shown

MAX_DEPTH = 64  # of containers inside each other
MAX_STEPS = 2**20  # that the pickle may take; a tensor takes some 25

DICTS = {"collections OrderedDict", "collections Counter"}
CALLS = DICTS | {
    "builtins set",
    "__builtin__ set",
    "builtins complex",
    "__builtin__ complex",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
}
GLOBALS = CALLS | {"torch.storage UntypedStorage", "torch.storage TypedStorage"}
GLOBALS |= {f"torch {name}" for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
GLOBALS |= {f"torch {name}" for name in vars(torch) if name.endswith("Storage")}


class Item(NamedTuple):
    """What is known of a value on the pickle's stack without making it."""

    kind: str = ""  # dict, list, or the name of a global
    depth: int = 0  # of tuples inside each other


# What an opcode puts on the stack that does nothing else, as most of a pickle's do.
PUSHED = {
    opcode.name: Item()
    for opcode in pickletools.opcodes
    if not opcode.stack_before and len(opcode.stack_after) == 1 and not opcode.name.startswith("EXT")
}
PUSHED |= {"EMPTY_DICT": Item("dict"), "EMPTY_LIST": Item("list"), "MARK": Item("mark")}
for name in ("GLOBAL", "BINGET", "LONG_BINGET"):
    del PUSHED[name]


def check_pickle(path: Path, pickled: bytes) -> None:
    """That the pickle makes plain data: it names nothing else, calls only what rebuilds it, fills lists and dicts."""
    stack: list[Item] = []
    memo: dict[int, Item] = {}
    argument: Any
    for step, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if step == MAX_STEPS:
            raise UserError(f"{path} was not loaded: it holds more than {MAX_STEPS:,} values beside its tensors")
        if opcode.name in PUSHED:
            stack.append(PUSHED[opcode.name])
            continue
        operands = popped(stack, opcode.stack_before)
        match opcode.name:
            case "GLOBAL" if argument not in GLOBALS:
                name = shown(argument.replace(" ", "."))
                raise UserError(f"{path} was not loaded: it names {name}, where a checkpoint has plain data alone")
            case "NEWOBJ" | "STACK_GLOBAL" | "INST" | "OBJ" | "NEWOBJ_EX" | "EXT1" | "EXT2" | "EXT4":
                raise UserError(f"{path} was not loaded: it makes objects, where a checkpoint has plain data alone")
            case "GLOBAL":
                stack.append(Item(argument))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(Item(depth=1 + max((item.depth for item in operands), default=0)))
                if stack[-1].depth > MAX_DEPTH:
                    raise UserError(f"{path} was not loaded: it nests more than {MAX_DEPTH} tuples")
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "REDUCE" if operands[0].kind in CALLS:
                stack.append(Item("dict" if operands[0].kind in DICTS else ""))
            case "APPEND" | "APPENDS" if operands[0].kind == "list":
                stack.append(operands[0])
            case "SETITEM" | "SETITEMS" | "BUILD" if operands[0].kind == "dict":
                stack.append(operands[0])
            case "REDUCE" | "APPEND" | "APPENDS" | "SETITEM" | "SETITEMS" | "BUILD":
                raise ValueError(opcode.name)
            case _:
                stack.extend(Item("mark" if kind is pickletools.markobject else "") for kind in opcode.stack_after)


def popped(stack: list[Item], kinds: list[pickletools.StackObject]) -> list[Item]:
    """What an opcode takes from the stack: as many values as it has `kinds`, or all down to a mark, and those below."""
    start = len(stack) - len(kinds)
    if pickletools.markobject in kinds:
        mark = next(i for i in range(len(stack) - 1, -1, -1) if stack[i].kind == "mark")
        start = mark - kinds.index(pickletools.markobject)
    if start < 0:
        raise IndexError
    operands = stack[start:]
    del stack[start:]
    return operands
