"""The contract of inference code: a service prepares, predicts and shapes one request's data."""

import inspect
from collections.abc import Awaitable, Callable

__all__ = ["InvalidInput", "SingleNodeService"]


class InvalidInput(ValueError):
    """Raised by inference code to say that the request is at fault: its message goes to the caller with status 400."""


class SingleNodeService:
    """The base of every service. Any of the methods may be a coroutine function."""

    def __init__(self, model_name: str, model_path: str) -> None:
        self.model_name = model_name
        self.model_path = model_path

    def inference(self, data: object) -> object:
        """The whole prediction. `data` is `{field: {filename: BytesIO}}` for a form, what JSON holds otherwise."""
        result = data
        stages = (self._preprocess, self._inference, self._postprocess)
        for number, stage in enumerate(stages):
            result = stage(result)
            if inspect.isawaitable(result):
                return _run_from(result, stages[number + 1 :])
        return result

    def _predicts_as(self, base: "type[SingleNodeService]") -> bool:
        """Whether it leaves predicting to the base class: then that loads the model, before anybody asks."""
        own = type(self)
        return own.inference is base.inference and own._inference is base._inference  # noqa: SLF001  its own methods

    def _preprocess(self, data: object) -> object:
        return data

    def _inference(self, data: object) -> object:
        raise NotImplementedError(f"{type(self).__name__} defines no _inference")

    def _postprocess(self, data: object) -> object:
        return data


async def _run_from(pending: Awaitable[object], stages: tuple[Callable[[object], object], ...]) -> object:
    result = await pending
    for stage in stages:
        result = stage(result)
        if inspect.isawaitable(result):
            result = await result
    return result
