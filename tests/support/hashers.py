"""The hasher of passwords in tests."""

from eci.identity.passwords import Argon2id


class Quick(Argon2id):
    """The product's hasher at the least cost that Argon2 allows: hundreds of tests sign somebody in."""

    time_cost = 1
    memory_cost = 8
