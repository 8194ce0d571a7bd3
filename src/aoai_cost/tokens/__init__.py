"""What texts, images and whole requests are in tokens."""

from .chat import Count, CountLine, count_request
from .encoding import Encoding, get_encoding, list_encoding_names
from .images import count_image_tokens, count_image_tokens_batch, image_size
from .media import count_audio_tokens
from .text import count_tokens, count_tokens_batch, encoding_for_model, encoding_name_for_model

__all__ = [
    "Count",
    "CountLine",
    "Encoding",
    "count_audio_tokens",
    "count_image_tokens",
    "count_image_tokens_batch",
    "count_request",
    "count_tokens",
    "count_tokens_batch",
    "encoding_for_model",
    "encoding_name_for_model",
    "get_encoding",
    "image_size",
    "list_encoding_names",
]
