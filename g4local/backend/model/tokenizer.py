"""A model's vocabulary without its weights, which takes a moment where the model takes a minute."""

from collections.abc import Sequence
from contextlib import ExitStack

import llama_cpp.llama_cpp as llama

from g4local.backend.engine import EngineInfo, LoadOptions
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model import header, loading
from g4local.backend.model.header import Header
from g4local.backend.model.vocabulary import Vocabulary
from g4local.core.prompt import Segment


class Tokenizer:
    """What stands in an engine's place where only tokens are asked for."""

    def __init__(self, options: LoadOptions, stop: StopFlag) -> None:
        """Read it: ModelNotFound, BadGguf, or Cancelled by the flag."""
        with ExitStack() as undo:
            head = header.read(options.path)
            model = loading.load_vocabulary(options.path, stop)
            undo.callback(llama.llama_model_free, model)
            self._vocabulary = Vocabulary(model)
            self._closing = undo.pop_all()
        self.info = info(options, head, self._vocabulary)

    def tokenize(self, prompt: Sequence[Segment]) -> list[int]:
        """The ids of a prompt; EngineError for a special token that the vocabulary lacks."""
        return self._vocabulary.tokenize(prompt)[0]

    def close(self) -> None:
        """Free the vocabulary."""
        self._closing.close()


def info(
    options: LoadOptions, head: Header, vocabulary: Vocabulary, context: int = 0, warnings: tuple[str, ...] = ()
) -> EngineInfo:
    """What is known of a model by its file and its vocabulary, and how it was loaded."""
    return EngineInfo(
        path=options.path,
        name=head.name,
        architecture=head.architecture,
        context=context,
        trained_context=head.model.shape.trained_context,
        vocab_size=vocabulary.size,
        special_tokens=vocabulary.special,
        end_tokens=vocabulary.end_tokens,
        per_layer_embeddings=head.model.shape.per_layer_width > 0,
        template=head.template,
        warnings=warnings,
    )
