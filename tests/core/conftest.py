"""Properties are checked on the same examples everywhere."""

from hypothesis import settings

# A loaded machine must not fail a property (no deadline), and a failure must come back (no random examples).
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
