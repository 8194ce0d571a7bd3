from .bpe import Counts as Counts
from .bpe import Vocabulary as Vocabulary

__test__: dict[str, str]
