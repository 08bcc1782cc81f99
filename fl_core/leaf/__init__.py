"""LEAF (Caldas et al. 2018, https://arxiv.org/abs/1812.01097): its files, its generator, its preprocessing, its metrics."""
