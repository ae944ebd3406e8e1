"""Runs the notebooks on their full setting and keeps what they show: `make notebooks`.

    python notebooks/execute.py [NAME ...]

`text_bert_to_bilstm`, `answer_matching` and `financial_monitor` need the teacher's weights, which
their first cells install.
"""

import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_HERE = Path(__file__).parent
_FOLDER = re.compile(r"/[\w/.-]*/tmp\w+")  # a temporary folder, which another run has elsewhere


def execute(path):
    """Runs a notebook and writes it with its outputs, but for warnings and progress bars."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=7200, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the time of day
        if cell.cell_type == "code":
            cell.outputs = [_kept(output) for output in cell.outputs if _is_shown(output)]
    nbformat.write(notebook, path)


def _is_shown(output):
    return output.output_type == "execute_result" or output.get("name") == "stdout"


def _kept(output):
    if output.output_type == "stream":
        output.text = _FOLDER.sub("...", output.text)
    else:
        output.data = {kind: _FOLDER.sub("...", text) for kind, text in output.data.items()}
    return output


if __name__ == "__main__":
    wanted = set(sys.argv[1:])
    for notebook in sorted(_HERE.glob("*.ipynb")):
        if not wanted or notebook.stem in wanted:
            start = time.monotonic()
            execute(notebook)
            print(f"{notebook.name}: {time.monotonic() - start:.0f} s")
