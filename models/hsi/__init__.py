"""What every hyperspectral method needs: windows, honest splits, PCA, accuracy and a baseline."""
