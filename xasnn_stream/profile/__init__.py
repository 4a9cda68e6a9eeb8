"""What changes numbers at a beamline: a YAML file, checked, as plain frozen settings.

Addresses, keys, limits and folders are deployment and have no place in a profile.
"""

from xasnn_stream.profile.files import shipped_profiles
from xasnn_stream.profile.load import (
    Profile,
    check_profile,
    load_profile,
    parse_overrides,
)

__all__ = [
    "Profile",
    "check_profile",
    "load_profile",
    "parse_overrides",
    "shipped_profiles",
]
