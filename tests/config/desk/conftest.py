"""Members of staff's groups, as they come to the desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from config.staff import groups


@pytest.fixture
def member() -> Callable[[str], Client]:
    """A browser of a member of this group; of nobody's group with the empty name."""

    def enter(group: str) -> Client:
        groups.make_groups()
        user = User.objects.create_user(f"{group or 'nobody'}@example.com", password="secret-123", is_staff=True)
        if group:
            user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return enter
