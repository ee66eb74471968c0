"""The sizes of what is not downloaded yet, in MB; None where it is not known."""

from lib.hub import wanted
from lib.job.command import InputError, first_line
from lib.job.progress import say
from lib.package_index import find_distribution
from lib.plan.sources import Source, parse_source
from lib.plan.tasks import DEVELOPMENT


def package_bytes(source: Source) -> int:
    """The size of a distribution, from the index's answer to a request for it, whose content is not read."""
    finder, link = find_distribution(source)
    with finder.session.get_stream(link.url_without_fragment) as response:
        response.raise_for_status()
        return int(response.headers["content-length"])


def total(sizes: list[int | None]) -> int:
    """The sum of the sizes of files.

    Raises:
        InputError: a size is missing, as on some mirrors, or there are no files.
    """
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes):
        raise InputError(f"expected the sizes of {len(sizes) or 'some'} files from the hub, found {len(known)}")
    return sum(known)


def hub_bytes(source: Source, repo_type: str) -> int:
    """The size of the files that would be downloaded from a hub."""
    from huggingface_hub import HfApi

    about = getattr(HfApi(), f"{repo_type}_info")(source.name, revision=source.pin, files_metadata=True)
    sizes = {file.rfilename: file.size for file in about.siblings or []}
    return total([sizes[name] for name in wanted(sizes, repo_type, source.path)])


def download_size(text: str, repo_type: str) -> float | None:
    """The size of a source, which its index or hub is asked for."""
    source = parse_source(text)
    try:
        size = package_bytes(source) if source.kind == "package" else hub_bytes(source, repo_type)
    except Exception as error:  # the clients raise exceptions of their own for network faults
        say(f"{source.name}: size unknown: {first_line(error)}")
        return None
    return size / 1e6


def task_size(name: str) -> float | None:
    """The size of the English texts of one of mteb's tasks, by mteb's own statistics; no hub is asked."""
    import mteb

    try:
        metadata = mteb.get_task(name.removesuffix(DEVELOPMENT)).metadata
    except KeyError:
        return None
    total = 0
    for split in ["test", "train"] if metadata.type == "Classification" else ["test"]:
        about = (metadata.descriptive_stats or {}).get(split, {})
        about = about.get("hf_subset_descriptive_stats", {}).get("en", about)
        texts = [value for key, value in about.items() if key.startswith("text") and isinstance(value, dict)]
        total += sum(value.get("total_text_length", 0) for value in texts)
    return total / 1e6 if total else None
