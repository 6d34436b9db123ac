"""Networks from elsewhere: ``timm:NAME`` of the timm library, ``package.module:callable`` of any installed package.

The callable is called with the keywords ``classes``, ``channels`` and ``image_size`` and returns a module that maps
images [B, channels, image_size, image_size] to logits [B, classes], its weights freshly drawn by torch's generator.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from torch import nn

from tune_kd.errors import InputError, nearest

FORM = "timm:NAME or package.module:callable"


def find(name: str) -> Callable[..., Any]:
    """What makes the network ``name``, called with classes, channels and image_size. Raises InputError."""
    place, _, called = name.partition(":")
    return _of_timm(name, called) if place == "timm" else _of_package(name, place, called)


def make(name: str, *, classes: int, channels: int, image_size: int) -> nn.Module:
    """The network ``name`` with fresh weights. Raises InputError where it cannot be made like that."""
    sizes = {"classes": classes, "channels": channels, "image_size": image_size}
    maker = find(name)
    try:
        net = maker(**sizes)
    except Exception as error:  # somebody else's code may raise anything
        asked = ", ".join(f"{key}={value}" for key, value in sizes.items())
        raise InputError(f"model {name!r} cannot be made with {asked}: {first_line(error)}") from error
    if not isinstance(net, nn.Module):
        raise InputError(f"model {name!r} must give a torch.nn.Module, got {type(net).__name__}")
    return net


def origin(name: str) -> str:
    """Which code makes the network: timm's version, or the hash of the file that defines the callable.

    A partial, or an object that can be called, is defined by two: its code's, and that of the module which made it so.
    What has no file, such as a function in C, is told by its name alone.
    """
    place, _, _ = name.partition(":")
    if place == "timm":
        return f"timm {metadata.version('timm')}"
    maker = inspect.unwrap(find(name))
    made: list[Any] = [] if inspect.isroutine(maker) or inspect.isclass(maker) else [importlib.import_module(place)]
    while isinstance(maker, partial):
        maker = inspect.unwrap(maker.func)
    code = maker if inspect.isroutine(maker) or inspect.isclass(maker) else type(maker)
    files = dict.fromkeys(file for file in map(_source, [code, *made]) if file)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() if files else name


def first_line(error: Exception) -> str:
    """An error of somebody else's code in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _source(code: Any) -> Path | None:
    """The file that defines ``code``, a function, class or module; None where there is none."""
    try:
        file = inspect.getsourcefile(code)
    except (TypeError, OSError):  # built in
        return None
    return Path(file) if file else None


def _of_timm(name: str, called: str) -> Callable[..., Any]:
    try:
        import timm
    except ImportError as error:
        raise InputError(f"model {name!r} needs the package timm: pip install 'tune-kd[timm]'") from error
    if not timm.is_model(called):
        hint = nearest(called, timm.list_models())
        raise InputError(f"unknown model {name!r} of timm {timm.__version__}; {hint}")
    known = timm.get_pretrained_cfg(called)
    fixed_size = known is not None and known.fixed_input_size  # transformers must be told the size of their images

    def maker(*, classes: int, channels: int, image_size: int) -> Any:
        size = {"img_size": image_size} if fixed_size else {}
        return timm.create_model(called, pretrained=False, num_classes=classes, in_chans=channels, **size)

    return maker


def _of_package(name: str, place: str, called: str) -> Callable[..., Any]:
    if not (place and called):
        raise InputError(f"a model from elsewhere is {FORM}, got {name!r}")
    try:
        module = importlib.import_module(place)
    except Exception as error:  # an import runs somebody else's code
        raise InputError(f"model {name!r}: {place} cannot be imported, {first_line(error)}") from error
    maker: Any = getattr(module, called, None)
    if not callable(maker):
        choices = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise InputError(f"model {name!r}: {place} has no callable {called!r}; {nearest(called, choices)}")
    return maker
