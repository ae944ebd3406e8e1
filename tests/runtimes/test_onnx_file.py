import numpy as np
import pytest
from exported_files import BIAS, KERNEL, WEIGHTS_BYTES, write_onnx

from keras_kd.runtimes import ONNXFile

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.core, pytest.mark.alike]

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-2)])
def test_answers_and_bytes(dtype, tolerance, tmp_path):
    file = ONNXFile(write_onnx(tmp_path / "m.onnx", dtype=dtype))
    np.testing.assert_allclose(file(X)["scores"], X @ KERNEL + BIAS, atol=tolerance)
    assert file.weights_bytes == WEIGHTS_BYTES * np.dtype(dtype).itemsize / 4
    assert file.size_bytes == (tmp_path / "m.onnx").stat().st_size
    assert (file.input_names, file.output_names, file.batch_size) == (("x",), ("scores",), None)


def test_weights_in_a_file_beside_it_count(tmp_path):
    model = onnx.load(write_onnx(tmp_path / "m.onnx", np.ones((4, 900), "float32"), np.zeros(900)))
    onnx.save(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.data")
    file = ONNXFile(tmp_path / "big.onnx")
    assert file.weights_bytes == 4 * 5 * 900
    parts = [(tmp_path / name).stat().st_size for name in ("big.onnx", "big.data")]
    assert file.size_bytes == sum(parts)
    np.testing.assert_allclose(file(X)["scores"][:, 0], X.sum(axis=1), rtol=1e-5)


def test_weights_inside_a_branch_count(tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT

    def branch(name, value):
        stored = onnx.numpy_helper.from_array(np.full((1, 2), value, "float32"), name)
        output = helper.make_tensor_value_info(f"{name}_out", kind, [1, 2])
        node = helper.make_node("Identity", [name], [f"{name}_out"])
        return helper.make_graph([node], name, [], [output], [stored])

    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Greater", ["sum", "zero"], ["positive"]),
            helper.make_node(
                "If", ["positive"], ["y"], then_branch=branch("a", 1.0), else_branch=branch("b", 2)
            ),
        ],
        "chooses",
        [helper.make_tensor_value_info("x", kind, [1, 4])],
        [helper.make_tensor_value_info("y", kind, [1, 2])],
        [onnx.numpy_helper.from_array(np.float32(0.0), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    file = ONNXFile(tmp_path / "m.onnx")
    assert file.weights_bytes == 4 * (2 + 2 + 1)
    # A batch of 1, so that each example takes a branch of its own.
    assert file.batch_size == 1
    np.testing.assert_array_equal(file(np.stack([X[0] * 0 + 1, X[0] * 0 - 1]))["y"][:, 0], [1, 2])
