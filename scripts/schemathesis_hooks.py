"""Puts things that exist into some of the invented requests, so that they get beyond 404 and 400."""

import csv
import os
import random

import schemathesis

SLUGS = ["events", "nightlife", "service", "retail", "community", "other"]
ADDRESSES = ["8001 Zürich", "8005 Zürich"]
IDS = range(1, 30)
NAMES_OF_IDS = {
    "id", "flyer_id", "user_id", "followed_id", "creator", "listing_id", "item_id", "recipient_id",
    "owner_id", "cpu_id", "gpu_id",
}


def known_tokens():
    """Tokens of links, where the service has such."""
    with open(os.environ["USERS"], encoding="utf-8") as users:
        columns = ["share_token", "collection_token", "inbox_token"]
        return [row[name] for row in csv.DictReader(users) for name in columns if row.get(name)]


TOKENS = known_tokens()


def known_uuids():
    """Ids of 36 characters of the first users, by what they are ids of."""
    known = {}
    with open(os.environ["USERS"], encoding="utf-8") as users:
        for row in list(csv.DictReader(users))[:5]:
            for name, value in row.items():
                if len(value) == 36 and value.count("-") == 4:
                    known.setdefault(name, []).append(value)
    return known


UUIDS = known_uuids()
# What the parameters of challenges are ids of; `id` is of any of these.
OF_UUIDS = {
    "challenge_id": ["challenge_id"],
    "habit_id": ["habit_id"],
    "habit_ids": ["habit_id"],
    "addressee_id": ["stranger_id"],
    "user_id": ["friend_id", "stranger_id"],
    "target_user_ids": ["comember_id"],
    "notification_ids": ["notification_id"],
    "id": ["challenge_id", "own_challenge_id", "checkin_id", "friend_id", "comember_id", "notification_id"],
}


def choose_uuid(name):
    """An id of something that is there, if the service has such."""
    found = [value for column in OF_UUIDS.get(name, []) for value in UUIDS.get(column, [])]
    return random.choice(found) if found else None


def choose(name, value):
    """The value, or one in two times one that means something."""
    if isinstance(value, float) and value.is_integer():
        # JSON Schema calls 1.0 a whole number, the readers of JSON for 64-bit integers do not.
        return int(value)
    if random.random() < 0.5:
        return value
    if isinstance(value, str) and (found := choose_uuid(name)):
        return found
    if isinstance(value, list) and name in OF_UUIDS and (found := choose_uuid(name)):
        return [found]
    if name in NAMES_OF_IDS and isinstance(value, int):
        return random.choice(IDS)
    if name == "token" and isinstance(value, str) and TOKENS:
        return random.choice(TOKENS)
    if name == "category_tags" and isinstance(value, list):
        return [random.choice(SLUGS)]
    if name == "categories" and isinstance(value, str):
        return random.choice(SLUGS)
    if name == "location_address" and isinstance(value, str):
        return random.choice(ADDRESSES)
    return value


def chosen(values, given=()):
    """Values with some in their places that mean something; those that are `given` stay."""
    if not isinstance(values, dict):
        return values
    return {name: value if name in given else choose(name, value) for name, value in values.items()}


def linked(case):
    """The parameters of the path that an earlier answer gave: what it made is asked for, nothing else."""
    return getattr(getattr(case, "_override", None), "path_parameters", None) or ()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    # What was right stays so. Looked at again, a form with a picture would be called wrong,
    # because the bytes of a picture are no string.
    object.__setattr__(case, "_freeze_metadata", True)
    case.path_parameters = chosen(case.path_parameters, linked(case))
    case.query = chosen(case.query)
    case.body = chosen(case.body)
