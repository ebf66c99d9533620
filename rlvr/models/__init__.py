"""Models: from scratch or pretrained, their tokenizers and their log-probabilities."""
