"""``python -m aoai_cost.cli``."""

from . import main

main()
