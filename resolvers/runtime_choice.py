"""Which runtime a package gets: the importer's choice, the operator's, or what it asks for. Never one silently."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from artifacts.config import Config
from engines.runtime_catalogue import Runtime, probably_meant, resolve, runtimes, spelt
from resolvers.errors import ErrorCode
from resolvers.installation import Rules
from resolvers.operation_attempt import problem_row
from resolvers.package_source import CONFIG_NAME

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """No runtime and a problem where the one asked for is not there; no runtime and a warning for an engine without."""

    runtime: Runtime | None
    problems: list[Row] = field(default_factory=list)
    warnings: list[Row] = field(default_factory=list)


def choose_runtime(
    rules: Rules, config: Config, requested: str | None, *, template: str | None = None
) -> RuntimeChoice:
    """What the config in force gets, where the package itself asks for `requested`, or the template it comes with."""
    available = [runtime.name for runtime in runtimes(config.ai_engine) if runtime.is_available]
    if not available:
        return RuntimeChoice(None, warnings=[_no_environment(config)])
    wanted = config.runtime and spelt(config.ai_engine, config.runtime, rules.runtime_map)
    given = resolve(config.ai_engine, wanted, rules.runtime_map)
    if given is None or not given.is_available:
        return RuntimeChoice(None, problems=[_runtime_missing(config, available, template)])
    return RuntimeChoice(given, warnings=_differences(rules, config, requested, given, template))


def _differences(
    rules: Rules, config: Config, requested: str | None, given: Runtime, template: str | None
) -> list[Row]:
    if not requested or requested == given.name:
        return []
    if spelt(config.ai_engine, requested, rules.runtime_map) == given.name:
        return [_runtime_misspelt(requested, given)]
    return [_runtime_substituted(config, requested, given, template)]


def _runtime_misspelt(requested: str, given: Runtime) -> Row:
    return problem_row(
        ErrorCode.CONFIG_DOUBTFUL_VALUE,
        f"The runtime {requested!r} is read as {given.name}.",
        file=CONFIG_NAME,
        pointer="/runtime",
        expected=given.name,
        actual=requested,
        hint=f"Write {given.name}.",
    )


def _runtime_substituted(config: Config, requested: str, given: Runtime, template: str | None) -> Row:
    who = "the importer chose" if config.runtime == given.name else "the operator has mapped that to"
    asks = "The package asks for" if template is None else f"The template {template} is for"
    return problem_row(
        ErrorCode.RUNTIME_SUBSTITUTED,
        f"{asks} the runtime {requested}; {who} {given.name}.",
        **_place(template),
        expected=requested,
        actual=given.name,
        hint="Send a test prediction: its code may need changes for another interpreter or newer libraries.",
    )


def _place(template: str | None) -> dict[str, str | None]:
    """Where the runtime is asked for: in no file where a template asks for it."""
    return {"file": CONFIG_NAME, "pointer": "/runtime"} if template is None else {}


def _no_environment(config: Config) -> Row:
    name = config.ai_engine.model_type
    return problem_row(
        ErrorCode.UNSUPPORTED_BY_ENGINE,
        f"This installation has no environment for {name} models: the version cannot be deployed here.",
        hint="Everything but deployment works. `runtimes` lists the engines that there are environments for.",
    )


def _runtime_missing(config: Config, available: Sequence[str], template: str | None) -> Row:
    names = ", ".join(available)
    asks = "The config asks for" if template is None else f"The template {template} is for"
    meant = probably_meant(config.runtime or "")
    runs = "If the package runs with one of these, name it"
    guess = f"Did you mean {meant}? Write that, or name it" if meant else runs
    return problem_row(
        ErrorCode.RUNTIME_UNAVAILABLE,
        f"{asks} the runtime {config.runtime!r}, which this installation does not have.",
        **_place(template),
        expected=names,
        actual=config.runtime,
        hint=f"{guess} in `runtime` of importModel or retryImport: {names}.",
    )
