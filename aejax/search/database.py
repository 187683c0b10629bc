"""Databases that hold studies: opened patiently, their errors told in a paragraph."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from aejax import config as configs
from aejax import registry

CONNECT = 10  # seconds that a database has to answer
TRIES = 5  # of what two runs may do at once: making tables, or the study


def open_storage(optuna: Any, url: str) -> Any:
    """Optuna's storage of a URL, its tables made if there are none."""
    import sqlalchemy

    kind = sqlalchemy.make_url(url).get_backend_name()
    # The other side may be writing: sqlite waits for its lock.
    wait = {"sqlite": {"timeout": 60}, "postgresql": {"connect_timeout": CONNECT}}
    kwargs = {"connect_args": wait[kind]} if kind in wait else {}
    return optuna.storages.RDBStorage(url, engine_kwargs=kwargs)


def patiently(act: Callable[[], Any]) -> Any:
    """What two runs that start together may both try to do first."""
    import sqlalchemy.exc
    from optuna import exceptions

    clashes = (
        sqlalchemy.exc.IntegrityError,
        sqlalchemy.exc.ProgrammingError,
        exceptions.StorageInternalError,
        exceptions.DuplicatedStudyError,
    )
    for attempt in range(TRIES):
        try:
            return act()
        except clashes:
            if attempt + 1 == TRIES:
                raise
            time.sleep(0.2 * 2**attempt)


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Errors of a database as InputError, without the password in its URL."""
    import sqlalchemy
    import sqlalchemy.exc
    from optuna import exceptions

    try:
        sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # a port that is no number
        raise configs.InputError(
            "--storage is no URL of a database; it must be like "
            "sqlite:///path/study.db or postgresql+psycopg://user@host/name"
        ) from None
    safe = registry.masked(url)
    try:
        yield
    except ImportError as error:
        raise configs.InputError(
            f"--storage {safe} needs a driver that is not installed ({error}); for "
            'PostgreSQL: pip install "psycopg[binary]", and postgresql+psycopg://…'
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, exceptions.OptunaError) as error:
        why = registry.masked(str(error).split("\n")[0][:300])
        raise configs.InputError(
            f"--storage {safe} cannot be used ({type(error).__name__}: {why})"
        ) from error
