"""What a model's call gives to the rest of the step that it is in."""

import threading


class StepValues:
    """Values by name in the step that a thread is in; nothing is kept outside one."""

    def __init__(self):
        self._of_thread = threading.local()

    def __enter__(self):
        self._of_thread.kept = {}

    def __exit__(self, *exception):
        del self._of_thread.kept

    @property
    def is_open(self):
        """Whether this thread is in a step."""
        return hasattr(self._of_thread, "kept")

    def keep(self, values):
        """Keeps values by name until the step ends."""
        if self.is_open:
            self._of_thread.kept.update(values)

    @property
    def kept(self):
        """What was kept in this step; empty outside one."""
        return getattr(self._of_thread, "kept", {})
