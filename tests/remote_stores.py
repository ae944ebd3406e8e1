"""File systems behind addresses for the tests: one that fails when it is told to."""

import os

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class Faulty(MemoryFileSystem):
    """A store in memory; `Faulty.plan` is called with the name and the path of each request.

    What the plan returns for a sent file: None sends it, `"half"` sends its first half, `"lost"`
    nothing, and both say that all went well.
    """

    protocol = "faulty"
    store = {}
    pseudo_dirs = [""]
    cachable = False
    plan = staticmethod(lambda request, path: None)

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.replace("faulty://", "memory://"))

    def put_file(self, lpath, rpath, **kwargs):
        if os.path.isdir(lpath):
            return
        fault = Faulty.plan("put", rpath)
        with open(lpath, "rb") as file:
            content = file.read()
        if fault != "lost":
            self.pipe_file(rpath, content[: len(content) // 2] if fault == "half" else content)

    def mv(self, path1, path2, **kwargs):
        Faulty.plan("mv", path2)
        content = self.cat_raw(path1)
        if content is not None:
            self.pipe_file(path2, content)
            self.rm_file(path1)

    def cat_raw(self, path):
        found = self.store.get(self._strip_protocol(path))
        return None if found is None else found.getvalue()

    def cat_file(self, path, **kwargs):
        Faulty.plan("cat", path)
        return super().cat_file(path, **kwargs)

    def get_file(self, rpath, lpath, **kwargs):
        Faulty.plan("get", rpath)
        return super().get_file(rpath, lpath, **kwargs)

    def info(self, path, **kwargs):
        Faulty.plan("info", path)
        return super().info(path, **kwargs)


def empty_store():
    """Forgets all that was stored, and every fault."""
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    Faulty.store.clear()
    Faulty.pseudo_dirs[:] = [""]
    Faulty.plan = staticmethod(lambda request, path: None)
    fsspec.filesystem("memory").store.clear()
