"""For all tests: how long an example takes depends on what else the machine does."""

from hypothesis import settings

settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")
