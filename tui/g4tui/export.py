"""A session as a file, in the form that its name ends in."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from g4local.core.errors import G4Error, UsageError, reason
from g4local.core.files import write_whole
from g4local.store import transcript
from g4local.store.store import Store
from g4local.store.transcript import Transcript

_FORMS: Mapping[str, Callable[[Transcript], str]] = {
    ".md": transcript.markdown,
    ".json": lambda whole: json.dumps(transcript.session_object(whole), ensure_ascii=False) + "\n",
    ".jsonl": lambda whole: json.dumps(transcript.chat_object(whole), ensure_ascii=False) + "\n",
}


def write(store: Store, session: str, file: Path) -> Path:
    """Write a session to a new file; UsageError for another ending or a name that is taken, G4Error for a bad place."""
    target = file.expanduser()
    form = _FORMS.get(target.suffix)
    if form is None:
        raise UsageError(f"{str(file)!r} ends in none of {', '.join(_FORMS)}.", "Call it talk.md.")
    if target.exists():
        raise UsageError(f"{target} is there already.", "Give another name.")
    text = form(transcript.read(store, store.find(session)))
    try:
        write_whole(target, text)
    except OSError as error:
        raise G4Error(f"{target} can't be written: {reason(error)}.", "Give another place.") from error
    return target
