"""Hooks of schemathesis: puts ids of things that exist into generated requests, or nearly all would end in 404.

Which ids there are comes as JSON in EMBERKEEP_KNOWN_IDS: a kind, and the ids of that kind.
"""

import json
import os
import random

import schemathesis
from hypothesis.internal import lambda_sources

describe = lambda_sources._lambda_description


def described(function, **options):
    """As it was, but for a fault of Python 3.11: it counts the depth of the stack wrongly when it parses far down.

    What is described is a note for hypothesis' own statistics, and the whole run ended over it.
    """
    try:
        return describe(function, **options)
    except SystemError:
        return "lambda: <unknown>"


lambda_sources._lambda_description = described

KNOWN = json.loads(os.environ.get("EMBERKEEP_KNOWN_IDS", "{}"))
# How many of the places for an id get one that exists.
SHARE = 0.75
RNG = random.Random(int(os.environ.get("EMBERKEEP_OPENAPI_SEED", "1")))


def kind_of(name, path):
    """What kind of id goes into a place of that name; CBR calls all of them `id`."""
    if name != "id":
        return name.removesuffix("_id")
    for word in ("checkpoints", "policies", "vaults", "vault", "backups", "volumes", "tasks", "operation-logs"):
        if f"/{word}/{{id}}" in path:
            return {"policies": "policy", "operation-logs": "task"}.get(word, word.removesuffix("s"))
    return "volume"


def known(kind):
    ids = KNOWN.get(kind)
    return RNG.choice(ids) if ids and RNG.random() < SHARE else None


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    path = context.operation.path if context.operation else ""
    for name in path_parameters or {}:
        # Another project than the token's is refused before anything else: nothing would be tested.
        if name in ("project", "project_id"):
            # Our own could be disabled, and all that follows refused.
            path_parameters[name] = KNOWN["target_project" if "/identity/" in path else "project"][0]
            continue
        chosen = known(kind_of(name, path))
        if chosen is not None:
            path_parameters[name] = chosen
        elif path_parameters[name] in KNOWN.get("own_user", []):
            # Deleted or given another password, it would end the run's own session.
            path_parameters[name] = KNOWN["user"][0]
    return path_parameters


def refer(value, path):
    """Replaces ids anywhere in a body."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and name.endswith(("_id", "_uuid")):
                chosen = known(kind_of(name.replace("_uuid", "_id"), path))
                value[name] = inner if chosen is None else chosen
            elif name in ("resource_ids", "resources") and isinstance(inner, list) and inner:
                chosen = known("volume")
                if chosen and isinstance(inner[0], str):
                    inner[0] = chosen
                elif chosen and isinstance(inner[0], dict):
                    inner[0]["id"] = chosen
            else:
                refer(inner, path)
    elif isinstance(value, list):
        for inner in value:
            refer(inner, path)


@schemathesis.hook
def map_body(context, body):
    refer(body, context.operation.path if context.operation else "")
    return body
