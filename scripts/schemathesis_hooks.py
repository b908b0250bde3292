"""Puts things that exist into some of the invented requests, so that they get beyond 404 and 400."""

import base64
import random

import schemathesis

# A picture of 2 x 2 pixels: random bytes never are one.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4IWcDRAwQCgAh9gSJHoU67gAAAABJRU5ErkJggg=="
)
SLUGS = ["events", "nightlife", "service", "retail", "community", "other"]
ADDRESSES = ["8001 Zürich", "3011 Bern", "4051 Basel"]
IDS = range(1, 30)
NAMES_OF_IDS = {"id", "flyer_id", "user_id", "followed_id", "creator"}


def choose(name, value):
    """The value, or one in two times one that means something."""
    if random.random() < 0.5:
        return value
    if name in NAMES_OF_IDS and isinstance(value, int):
        return random.choice(IDS)
    if name == "category_tags" and isinstance(value, list):
        return [random.choice(SLUGS)]
    if name == "categories" and isinstance(value, str):
        return random.choice(SLUGS)
    if name == "location_address" and isinstance(value, str):
        return random.choice(ADDRESSES)
    if name.startswith("image") and isinstance(value, bytes):
        return PNG
    return value


def chosen(values):
    if not isinstance(values, dict):
        return values
    return {name: choose(name, value) for name, value in values.items()}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return
    case.path_parameters = chosen(case.path_parameters)
    case.query = chosen(case.query)
    case.body = chosen(case.body)
