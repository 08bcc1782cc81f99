"""Softmax regression on scikit-learn's digits: 64 pixels, 10 classes."""

import paddle

from fl_core.programs._classification import classifier

program = classifier(lambda: paddle.nn.Linear(64, 10))
