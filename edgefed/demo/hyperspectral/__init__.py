"""The demo of hyperspectral scenes: four fields of Indian Pines."""
