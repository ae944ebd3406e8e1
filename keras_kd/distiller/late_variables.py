"""Variables that join a Distiller after it was made, as those of projectors do."""


def join_training(model):
    """Makes all of a model's variables train from the next step on, those that came late too.

    PyTorch has a list of the parameters, which Keras makes before the first step. What is not in
    it keeps its gradient from step to step, since `zero_grad` does not reach it, and they add up.

    Args:
        model: A Keras model, compiled or not.
    """
    if hasattr(model, "_torch_params"):
        model._track_variables()
    if model.compiled:
        _grow(model.optimizer, model.trainable_variables)
        model.train_function = model.test_function = None


def _grow(optimizer, variables):
    """Makes an optimizer train `variables` too, in place, with the state it has.

    Keras fixes an optimizer's variables when it is built. The object stays the same, since the
    user and the model's compile config hold it too.

    Args:
        optimizer: A `keras.optimizers.Optimizer`; one that is not built is left as it is.
        variables: All variables to train from now on.
    """
    if optimizer is None or not optimizer.built:
        return
    grown = type(optimizer).from_config(optimizer.get_config())
    grown.build(variables)
    known = {}
    for variable in optimizer.variables:
        known.setdefault(variable.path, []).append(variable)
    for variable in grown.variables:
        if known.get(variable.path):
            variable.assign(known[variable.path].pop(0))
    inner = getattr(optimizer, "inner_optimizer", None)  # of Keras' LossScaleOptimizer
    if inner is not None:
        vars(inner).update(vars(grown.inner_optimizer))
        grown.inner_optimizer = inner
    vars(optimizer).update(vars(grown))
