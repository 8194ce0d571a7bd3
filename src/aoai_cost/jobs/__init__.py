"""What whole jobs cost before they are started: fine-tuning, embeddings, images, speech."""

from .embeddings import EmbeddingsEstimate, estimate_embeddings
from .job import JobEstimate, Rejected
from .media import estimate_image_generation, estimate_speech, estimate_transcription
from .training import TrainingEstimate, estimate_reinforcement, estimate_training

__all__ = [
    "EmbeddingsEstimate",
    "JobEstimate",
    "Rejected",
    "TrainingEstimate",
    "estimate_embeddings",
    "estimate_image_generation",
    "estimate_reinforcement",
    "estimate_speech",
    "estimate_training",
    "estimate_transcription",
]
