"""Says what a cache does not hold yet."""

from keras_kd.cache.parts import shards_of

_NAMED = 5  # shards


def what_is_missing(shards, header) -> str:
    """Returns words on shards that are not there; none where the data's length is unknown."""
    if header is None or shards.examples is None:
        return ""
    views, size = header["settings"]["views"], header["shard_examples"]
    missing = list(shards.missing(views, size))
    firsts = [f"{number * size} of view {view}" for view, number in missing[:_NAMED]]
    firsts += ["..."] if len(missing) > _NAMED else []
    return (
        f", {len(missing)} shards of {views * -(-shards.examples // size)} missing, which begin at "
        f"the examples {', '.join(firsts)}"
    )


def missing_parts(shards, header, count) -> list[int]:
    """Returns which of `count` parts lack a shard; all of them where nothing was begun."""
    if header is None or shards.examples is None:
        return list(range(count))
    views, size = header["settings"]["views"], header["shard_examples"]
    missing = {number for _, number in shards.missing(views, size)}
    parts = (shards_of(index, count, shards.examples, size) for index in range(count))
    return [index for index, part in enumerate(parts) if not missing.isdisjoint(part)]
