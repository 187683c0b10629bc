"""Autoencoders as scikit-learn's estimators: ``Autoencoder``, ``AutoencoderDetector``
and ``AutoencoderCV``, which says how many dimensions are needed.
"""

from aejax.estimators import detector, search, transformer

Autoencoder = transformer.Autoencoder
AutoencoderCV = search.AutoencoderCV
AutoencoderDetector = detector.AutoencoderDetector
