"""An Optuna study of which this run asks trials, and which it tells their values.

The only file that knows Optuna. Trials carry the token of the run that asked them, so
that several runs can share a study in a database, and each go on with its own.
"""

import functools
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config as configs
from aejax import registry
from aejax.runs import admission
from aejax.search import database
from aejax.search import space as spaces

SAMPLERS = ("tpe", "random")
INSTALL = 'pip install "aejax[optuna]"'
OWNER, MEMBERS, ABOUT = "run", "members", "aejax"  # attributes of trials and studies
STALE = 60.0  # seconds in which a trial that was just asked gets its owner
OUTSIDE = 100  # trials that others have put in, out of the space, one after the other


class Trial(NamedTuple):
    """A trial's number in the study, and what was drawn for it."""

    number: int
    values: dict[str, Any]


class Outcome(NamedTuple):
    """What came of a trial.

    Attributes:
      values: that are minimised; None of one that was stopped or has diverged.
      steps: {epoch: value} on the way, at which trials were compared.
      members: that measured it.
    """

    values: list[float] | None
    steps: Mapping[int, float]
    members: list[int]


def _explained(method: Callable) -> Callable:
    """Errors of the database, which may go away at any time, as InputError."""

    @functools.wraps(method)
    def wrapped(self, *arguments: Any) -> Any:
        with database.explained(self._storage_url):
            return method(self, *arguments)

    return wrapped


class Study:
    """A study in a database, and this run's trials of it.

    Args:
      storage: URL of the database, as SQLAlchemy takes it.
      name: of the study; it is made if there is none.
      owner: a token of the run's own.
      sampler: one of ``SAMPLERS``, and the seed of what it draws.
      about: what the study is of: whoever shares it must say the same.
      numbers: trials of this run so far, which the study must have.
      shared: whether other runs may draw from it, too.

    Raises:
      InputError: Optuna or a driver is not installed, a database that does not answer,
        a study of something else.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        owner: str,
        sampler: tuple[str, int],
        about: Mapping[str, Any],
        numbers: Sequence[int] = (),
        shared: bool = True,
    ):
        optuna = package()
        self._storage_url, self._name, self._about = storage, name, about
        self._shared, self._seen = shared, {}  # trials of nobody, since when
        self._owner, self._states = owner, optuna.trial.TrialState
        self._failed: list[int] = []  # trials
        with database.explained(storage):
            self._storage = database.patiently(
                lambda: database.open_storage(optuna, storage)
            )
            self._study = database.patiently(
                lambda: self._open(optuna, sampler, bool(numbers))
            )
            self._id = self._storage.get_study_id_from_name(name)
            self._check()
            self._check_trials(numbers)

    def _open(self, optuna: Any, sampler: tuple[str, int], exists: bool) -> Any:
        sampler = _sampler(optuna, *sampler, self._failed if not self._shared else ())
        where = {"storage": self._storage, "study_name": self._name, "sampler": sampler}
        directions = ["minimize"] * len(self._about["minimize"])
        if not exists:
            return optuna.create_study(
                **where, directions=directions, load_if_exists=True
            )
        try:
            return optuna.load_study(**where)
        except KeyError:
            raise configs.InputError(
                f"there is no study '{self._name}' with the trials of this run; give "
                "the --storage and --study in which they are"
            ) from None

    def _check(self) -> None:
        """Refuses a study of something else; a new one gets to know what it is of."""
        name, about = self._name, self._about
        known = self._study.user_attrs.get(ABOUT)
        if known is None:
            if self._study.get_trials(deepcopy=False):
                raise configs.InputError(
                    f"study '{name}' was not made by a search of aejax; give another "
                    "--study"
                )
            database.patiently(lambda: self._study.set_user_attr(ABOUT, dict(about)))
            known = self._study.user_attrs[ABOUT]  # another run may have been faster
        if changed := differences(known, about):
            raise configs.InputError(
                f"study '{name}' is of another search: {'; '.join(changed)}; repeat "
                "its settings, or give another --study"
            )

    def _check_trials(self, numbers: Sequence[int]) -> None:
        """Refuses a study without this run's trials, or with others of its own."""
        trials = self._study.get_trials(deepcopy=False)
        ours = {t.number: t for t in trials if t.user_attrs.get(OWNER) == self._owner}
        if lost := sorted(set(numbers) - ours.keys()):
            raise configs.InputError(
                f"study '{self._name}' lacks {len(lost)} trials of this run: "
                f"{configs.listed(lost)}; give the --storage in which they are"
            )
        done = {n for n, t in ours.items() if MEMBERS in t.user_attrs}
        if more := sorted(done - set(numbers)):
            raise configs.InputError(
                f"study '{self._name}' has trials of this run that its run.json does "
                f"not know: {configs.listed(more)}; run.json was changed"
            )

    @_explained
    def ask(self, space: spaces.Space) -> Trial:
        """A new trial, this run's own."""
        for _ in range(OUTSIDE):
            trial = self._study.ask()
            trial.set_user_attr(OWNER, self._owner)
            try:
                values = self._draw(trial, space)
            except ValueError:  # a choice that is none
                values = None
            if values is not None and space.holds(values):
                return Trial(trial.number, values)
            self._fail(trial.number)  # somebody has put it in
        raise configs.InputError(
            f"study '{self._name}' holds {OUTSIDE} waiting trials that lie outside of "
            "the space; remove them"
        )

    def _draw(self, trial: Any, space: spaces.Space) -> dict[str, Any]:
        def suggest(name: str, entry: spaces.Entry) -> Any:
            if not isinstance(entry, spaces.Range):
                words = [registry.joined(v) for v in entry]
                chosen = trial.suggest_categorical(name, words)
                return entry[words.index(chosen)]
            draw = trial.suggest_int if type(entry.low) is int else trial.suggest_float
            return draw(name, entry.low, entry.high, log=entry.log)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fixed value outside of its range
            return space.draw(suggest)

    @_explained
    def waiting(self, space: spaces.Space) -> list[Trial]:
        """This run's trials without a value; those that a kill left half asked fail.

        Nothing was trained for these: what was to be drawn is drawn again.
        """
        self._check()  # two that began at once may have written it one after the other
        known, now = [], time.monotonic()
        self._failed[:] = [
            t.number
            for t in self._study.get_trials(deepcopy=False, states=(self._states.FAIL,))
        ]
        states = (self._states.RUNNING,)
        for trial in self._study.get_trials(deepcopy=False, states=states):
            owner = trial.user_attrs.get(OWNER)
            if owner is None and not trial.params:
                # Killed before it had an owner, or just asked by another run.
                since = self._seen.setdefault(trial.number, now)
                if not self._shared or now - since > STALE:
                    self._fail(trial.number)
            elif owner == self._owner:
                try:
                    values = space.draw(functools.partial(_read, trial.params))
                    known.append(Trial(trial.number, values))
                except LookupError:
                    self._fail(trial.number)
        return known

    def _fail(self, number: int) -> None:
        state = self._states.FAIL
        self._failed.append(number)
        self._study.tell(number, state=state, skip_if_finished=True)

    @_explained
    def tell(self, number: int, outcome: Outcome) -> None:
        """Writes down what came of a trial, unless that is done."""
        one = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        if self._storage.get_trial(one).state.is_finished():
            return
        for epoch, value in outcome.steps.items():
            self._storage.set_trial_intermediate_value(one, epoch, value)
        self._storage.set_trial_user_attr(one, MEMBERS, outcome.members)
        # Samplers see of a trial without values that it was no good; of one that
        # failed they see nothing, and would draw its like again.
        state = self._states.PRUNED if outcome.values is None else None
        self._study.tell(number, outcome.values, state=state, skip_if_finished=True)


def differences(known: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    """What two searches differ in, a phrase each; values are JSON's."""

    def flat(entries: Mapping[str, Any]) -> dict[str, Any]:
        deep = {n: v for n, v in entries.items() if isinstance(v, Mapping)}
        lines = {f"{n} {k}": v for n, many in deep.items() for k, v in many.items()}
        return lines | {n: v for n, v in entries.items() if n not in deep}

    return admission.differences(flat(known), flat(about))


def _read(params: Mapping[str, Any], name: str, entry: spaces.Entry) -> Any:
    """A value as ``suggest`` gave it; LookupError if it was not asked yet."""
    if isinstance(entry, spaces.Range):
        return params[name]
    return entry[[registry.joined(v) for v in entry].index(params[name])]


def package() -> Any:
    """The package, its warnings of what is experimental left out."""
    try:
        import optuna
    except ImportError:
        raise configs.InputError(
            f"a search needs Optuna, which is not installed: {INSTALL}"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(optuna: Any, name: str, seed: int, failed: Sequence[int]) -> Any:
    """A sampler that is made anew for each trial, seeded by its number.

    So what is drawn depends on the study alone, whoever asks and however often a run
    was stopped. Trials that ``failed`` do not count: the next stands for them.
    """

    def fresh(number: int) -> Any:
        seeds = zlib.crc32(f"{seed} {number}".encode())
        if name == "random":
            return optuna.samplers.RandomSampler(seed=seeds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                multivariate=True, group=True, constant_liar=True, seed=seeds
            )

    class Numbered(optuna.samplers.BaseSampler):
        _now = fresh(0)

        def before_trial(self, study, trial):
            number = trial.number - sum(n < trial.number for n in failed)
            self._now = fresh(number)
            self._now.before_trial(study, trial)

        def infer_relative_search_space(self, study, trial):
            return self._now.infer_relative_search_space(study, trial)

        def sample_relative(self, study, trial, search_space):
            return self._now.sample_relative(study, trial, search_space)

        def sample_independent(self, study, trial, name, distribution):
            return self._now.sample_independent(study, trial, name, distribution)

        def after_trial(self, study, trial, state, values):
            self._now.after_trial(study, trial, state, values)

    return Numbered()
