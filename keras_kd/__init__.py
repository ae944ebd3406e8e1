"""Knowledge distillation for Keras."""
