"""What the frame of staff's pages shows."""

from __future__ import annotations

from django import template
from django.http import HttpRequest

from config.desk import menu
from eci import staff

register = template.Library()
register.filter("badge", staff.badge)


@register.inclusion_tag("desk/menu.html")
def desk_menu(request: HttpRequest) -> dict[str, object]:
    return {"desks": menu.menu(request.user), "here": request.path}
