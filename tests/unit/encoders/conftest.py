from tests.unit.small_networks import one_thread  # noqa: F401
